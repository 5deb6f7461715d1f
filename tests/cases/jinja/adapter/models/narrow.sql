{{ config(materialized='table') }}
select
    {% for column in adapter.get_columns_in_relation(ref('wide')) if column.name != 'price' %}
    {{ column.name }}{{ "," if not loop.last }}
    {% endfor %}
    , '{{ adapter.get_relation(database=ref("wide").database, schema=ref("wide").schema, identifier="wide") is not none }}' as there
    , '{{ adapter.get_relation(database=ref("wide").database, schema=ref("wide").schema, identifier="nothing") is none }}' as absent
from {{ ref('wide') }}
