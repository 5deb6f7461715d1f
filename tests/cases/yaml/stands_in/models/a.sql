{{ config(materialized='table') }}
{% if target.type not in ['duckdb', 'snowflake'] %}{{ exceptions.raise_compiler_error('Unsupported: ' ~ target.type) }}{% endif %}
select '{{ target.type }}' as type, {{ greeting() }} as greeting, '{{ target.database }}' as database
