create view "shop"."marts"."late" as (
select 1 as id
) with no schema binding;

create or replace view "shop"."marts"."late" as (
select 1 as id
) with no schema binding;
