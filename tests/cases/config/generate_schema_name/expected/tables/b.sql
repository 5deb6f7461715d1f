select id from {{ target.schema }}.v1_b
