create table "shop"."marts"."even"
diststyle even
compound sortkey(at)
as (
select 1 as id
);

create temporary table "even"

as (
select 1 as id
);
