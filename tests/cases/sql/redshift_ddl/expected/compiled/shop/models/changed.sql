merge into "shop"."marts"."changed"
using staged as DBT_INTERNAL_SOURCE
on ("shop"."marts"."changed".at > 0) and (DBT_INTERNAL_SOURCE.id = "shop"."marts"."changed".id)
when matched then update set
    "id" = DBT_INTERNAL_SOURCE."id",
    "at" = DBT_INTERNAL_SOURCE."at"
when not matched then insert ("id", "at")
values (
    DBT_INTERNAL_SOURCE."id",
    DBT_INTERNAL_SOURCE."at"
)
delete from "shop"."marts"."changed"
where (id, at) in (
    select distinct id, at
    from staged as DBT_INTERNAL_SOURCE
)
;
insert into "shop"."marts"."changed" ("id", "at")
(
    select "id", "at"
    from staged
)

create table "shop"."marts"."changed"

as (
select 1 as id
);
