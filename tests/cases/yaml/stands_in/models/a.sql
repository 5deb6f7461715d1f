{{ config(materialized='table') }}
{% if target.type not in ['duckdb', 'snowflake'] %}{{ exceptions.raise_compiler_error('Unsupported: ' ~ target.type) }}{% endif %}
select '{{ target.type }}' as type, {{ greeting() }} as greeting, '{{ target.database }}' as database, 3 / 2 as half, 4.0 / 3 > 1 as exact
