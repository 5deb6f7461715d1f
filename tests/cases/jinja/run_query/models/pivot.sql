-- depends_on: {{ ref('kinds') }}
{% set kinds = [] %}
{% if execute %}
    {% set found = run_query('select kind from ' ~ ref('kinds') ~ ' order by kind') %}
    {% set kinds = found.columns[0].values() %}
{% endif %}
select
    {% for kind in kinds %}
    sum(case when kind = '{{ kind }}' then n else 0 end) as n_{{ kind }},
    {% endfor %}
    count(*) as n
from {{ ref('kinds') }}
