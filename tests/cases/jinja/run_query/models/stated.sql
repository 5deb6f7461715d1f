-- depends_on: {{ ref('kinds') }}
{% call statement('total', fetch_result=True) %}select sum(n) as n from {{ ref('kinds') }}{% endcall %}
{% set total = load_result('total')['data'][0][0] if execute else 0 %}
select {{ total }} as total
