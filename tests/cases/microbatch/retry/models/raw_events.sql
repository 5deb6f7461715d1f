{{ config(materialized='table', event_time='happened_at') }}
select * from (values
    (1, timestamp '2024-01-01 10:00:00'), (2, timestamp '2024-01-02 11:00:00'), (3, timestamp '2024-01-03 12:00:00'),
    (4, timestamp '2024-01-04 00:00:00')
) as t (id, happened_at)
