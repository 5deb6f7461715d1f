{% macro in_euros(column) %}
    case
      when {{ column }} > 0
      then no_such_column
    end
{% endmacro %}
