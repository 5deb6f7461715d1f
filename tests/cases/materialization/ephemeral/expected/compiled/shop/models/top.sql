with __dbt__cte__base as (

select 1 as id union all select 2 as id
),  __dbt__cte__middle as (

select id + 10 as id from __dbt__cte__base
) select id from __dbt__cte__middle
