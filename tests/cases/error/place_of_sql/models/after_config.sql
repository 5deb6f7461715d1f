{{ config(
    materialized='table',
    tags=['x']
) }}
{#- a comment
    of two lines -#}
{%- set columns = [
    'id',
    'price',
] -%}

select
    {% for column in columns %}{{ column }},{% endfor %}
    statos as wrong_in_plain_sql
from {{ ref('orders') }}
