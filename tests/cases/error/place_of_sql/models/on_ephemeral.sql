with recent as (select * from {{ ref('base') }})
select * from recent
