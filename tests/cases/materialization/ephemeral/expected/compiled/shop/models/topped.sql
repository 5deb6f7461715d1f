with  __dbt__cte__base as (

select 1 as id union all select 2 as id
), mine as (select 100 as id)
select id from __dbt__cte__base union all select id from mine
