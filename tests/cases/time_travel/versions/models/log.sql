{{ config(materialized='incremental', unique_key='id') }}
{% if var('run', 3) == 1 %}select * from (values (1, 'a'), (2, 'b')) as t (id, note)
{% elif var('run', 3) == 2 %}select * from (values (2, 'c'), (3, 'd')) as t (id, note)
{% else %}select * from (values (1, 'a'), (4, 'e')) as t (id, note){% endif %}
