{{ config(materialized='ephemeral') }}
{% if var('run') == 1 %}
select * from (values (1, date '2024-01-01', 'a'), (2, date '2024-01-02', 'a'), (3, null, 'a'), (4, date '2024-02-02', 'a')) as t (id, day, note)
{% else %}
select * from (values (5, date '2024-01-02', 'b'), (6, null, 'b'), (7, date '2024-01-03', 'b')) as t (id, day, note)
{% endif %}
