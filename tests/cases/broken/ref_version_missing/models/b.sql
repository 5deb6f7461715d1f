select * from {{ ref('a', v=3) }}
