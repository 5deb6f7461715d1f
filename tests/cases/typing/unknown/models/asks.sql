{% set names = adapter.get_columns_in_relation(ref('known')) | map(attribute='name') | list %}
select {{ names | join(', ') }} from {{ ref('known') }}
where {{ names | first }} = 1
