select log.id, old.note as before, log.note from {{ ref('log') }} left join {{ ref('log') }} version as of 1 old on old.id = log.id where log.id > 1
