select l.id, l.note from {{ ref('log') }} version as of 0 as l
