create view "shop"."marts"."bound" as (
select 1 as id
) ;
