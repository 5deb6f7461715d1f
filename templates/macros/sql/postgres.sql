{# What PostgreSQL says in its own way. #}
{% macro postgres__dateadd(datepart, interval, from_date_or_timestamp) -%}
{{ from_date_or_timestamp }} + ((interval '1 {{ datepart }}') * ({{ interval }}))
{%- endmacro %}

{# Whole parts between two dates: PostgreSQL has no function for it, so the larger parts count the smaller ones. #}
{% macro postgres__datediff(first_date, second_date, datepart) -%}
  {%- set field -%}date_part('{{ datepart }}', ({{ second_date }})::%s) - date_part('{{ datepart }}', ({{ first_date }})::%s){%- endset -%}
  {%- set by_date = field | replace('%s', 'date') -%}
  {%- set by_time = field | replace('%s', 'timestamp') -%}
  {%- if datepart == 'year' -%}
({{ by_date }})
  {%- elif datepart in ['quarter', 'month'] -%}
({{ datediff(first_date, second_date, 'year') }} * {{ 4 if datepart == 'quarter' else 12 }} + {{ by_date }})
  {%- elif datepart == 'day' -%}
(({{ second_date }})::date - ({{ first_date }})::date)
  {%- elif datepart == 'week' -%}
({{ datediff(first_date, second_date, 'day') }} / 7 + case
    when date_part('dow', ({{ first_date }})::timestamp) <= date_part('dow', ({{ second_date }})::timestamp)
        then case when {{ first_date }} <= {{ second_date }} then 0 else -1 end
    else case when {{ first_date }} <= {{ second_date }} then 1 else 0 end
end)
  {%- elif datepart == 'hour' -%}
({{ datediff(first_date, second_date, 'day') }} * 24 + {{ by_time }})
  {%- elif datepart == 'minute' -%}
({{ datediff(first_date, second_date, 'hour') }} * 60 + {{ by_time }})
  {%- elif datepart in ['second', 'millisecond', 'microsecond'] -%}
    {%- set per_minute = {'second': 60, 'millisecond': 60000, 'microsecond': 60000000}[datepart] -%}
({{ datediff(first_date, second_date, 'minute') }} * {{ per_minute }}
    + floor(date_part('{{ datepart }}', ({{ second_date }})::timestamp)) - floor(date_part('{{ datepart }}', ({{ first_date }})::timestamp)))
  {%- else -%}
    {{ exceptions.raise_compiler_error("Unsupported datepart for macro datediff in postgres: '" ~ datepart ~ "'") }}
  {%- endif -%}
{%- endmacro %}

{# There is no interval of a quarter. #}
{% macro postgres__last_day(date, datepart) -%}
  {%- if datepart == 'quarter' -%}
cast({{ dbt.dateadd('day', '-1', dbt.dateadd('month', '3', dbt.date_trunc(datepart, date))) }} as date)
  {%- else -%}
{{ dbt.default_last_day(date, datepart) }}
  {%- endif -%}
{%- endmacro %}

{% macro postgres__any_value(expression) -%}
min({{ expression }})
{%- endmacro %}

{% macro postgres__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
  {%- set ordered = measure ~ ' ' ~ (order_by_clause or '') -%}
  {%- if limit_num -%}
array_to_string((array_agg({{ ordered }}))[1:{{ limit_num }}], {{ delimiter_text }})
  {%- else -%}
string_agg({{ measure }}, {{ delimiter_text }} {{ order_by_clause or '' }})
  {%- endif -%}
{%- endmacro %}

{% macro postgres__split_part(string_text, delimiter_text, part_number) -%}
  {%- if part_number >= 0 -%}
{{ dbt.default__split_part(string_text, delimiter_text, part_number) }}
  {%- else -%}
split_part({{ string_text }}, {{ delimiter_text }},
    length({{ string_text }}) - length(replace({{ string_text }}, {{ delimiter_text }}, '')) + 2 + {{ part_number }})
  {%- endif -%}
{%- endmacro %}

{% macro postgres__array_construct(inputs, data_type) -%}
  {%- if inputs | length > 0 -%}
array[ {{ inputs | join(' , ') }} ]
  {%- else -%}
array[]::{{ data_type }}[]
  {%- endif -%}
{%- endmacro %}

{% macro postgres__array_append(array, new_element) -%}
array_append({{ array }}, {{ new_element }})
{%- endmacro %}

{% macro postgres__array_concat(array_1, array_2) -%}
array_cat({{ array_1 }}, {{ array_2 }})
{%- endmacro %}

{% macro postgres__current_timestamp() -%}
now()
{%- endmacro %}

{% macro postgres__snapshot_get_time() -%}
{{ current_timestamp() }}::timestamp without time zone
{%- endmacro %}

{% macro postgres__snapshot_string_as_time(timestamp) -%}
{{ return("'" ~ timestamp ~ "'::timestamp without time zone") }}
{%- endmacro %}

{% macro postgres__current_timestamp_backcompat() -%}
current_timestamp::{{ type_timestamp() }}
{%- endmacro %}

{% macro postgres__current_timestamp_in_utc_backcompat() -%}
(current_timestamp at time zone 'utc')::{{ type_timestamp() }}
{%- endmacro %}
