select id, size from {{ target.schema }}_dbt_test__audit.bad_sizes
