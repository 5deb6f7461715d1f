{{ config(materialized='ephemeral') }}
{% if var('run') == 1 %}
select * from (values (1, 'x', 'old'), (2, 'y', 'old'), (3, null, 'old')) as t (id, code, note)
{% else %}
select * from (values (1, 'x', 'new'), (2, 'y', 'new'), (3, null, 'new')) as t (id, code, note)
{% endif %}
