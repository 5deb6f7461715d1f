{{ config(
    materialized='insert_day',
    pre_hook="create table if not exists {{ target.schema }}.log (what text)",
    post_hook=["insert into {{ target.schema }}.log values ('{{ this.identifier }} {{ var('day', 1) }}')"]
) }}
select {{ var('day', 1) }} as day, {{ "true" if load_cached_relation(this) else "false" }} as seen
