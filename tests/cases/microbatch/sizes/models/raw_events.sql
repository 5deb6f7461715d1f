{{ config(materialized='table', event_time='happened_at') }}
select * from (values (1, timestamp '2024-01-31 22:10:00'), (2, timestamp '2024-02-01 00:59:59'), (3, timestamp '2024-02-01 01:00:00')) as t (id, happened_at)
