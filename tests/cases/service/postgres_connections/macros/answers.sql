{# A test whose SQL stands on what a query gave. #}
{% test answers(model, column_name) %}
  {%- set rows = run_query("select " ~ column_name ~ " from " ~ model) -%}
  select * from {{ model }} where {{ column_name }} <> {{ rows.columns[0].values()[0] if execute else 0 }}
{% endtest %}
