select * from {{ ref('g', v=2) }}
