select * from {{ target.schema }}.sea
