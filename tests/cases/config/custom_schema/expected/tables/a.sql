select * from {{ target.schema }}_extra.a
