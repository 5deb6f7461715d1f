select id from {{ ref('log') }} timestamp as of '2999-01-01' where id > 2
