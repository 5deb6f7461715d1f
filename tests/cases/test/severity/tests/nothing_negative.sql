select * from {{ ref('numbers') }} where id < 0
