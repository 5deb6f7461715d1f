create table "shop"."marts"."keyed"
backup no
diststyle key distkey (id)
interleaved sortkey(id,at)
as (
select 1 as id
);
