{# A date moved by a number of parts. #}
{% macro dateadd(datepart, interval, from_date_or_timestamp) -%}
  {{ return(adapter.dispatch('dateadd', 'dbt')(datepart, interval, from_date_or_timestamp)) }}
{%- endmacro %}

{% macro default__dateadd(datepart, interval, from_date_or_timestamp) -%}
dateadd({{ datepart }}, {{ interval }}, {{ from_date_or_timestamp }})
{%- endmacro %}

{# How many boundaries of a part lie between two dates. #}
{% macro datediff(first_date, second_date, datepart) -%}
  {{ return(adapter.dispatch('datediff', 'dbt')(first_date, second_date, datepart)) }}
{%- endmacro %}

{% macro default__datediff(first_date, second_date, datepart) -%}
datediff({{ datepart }}, {{ first_date }}, {{ second_date }})
{%- endmacro %}

{# The beginning of the part a date lies in. #}
{% macro date_trunc(datepart, date) -%}
  {{ return(adapter.dispatch('date_trunc', 'dbt')(datepart, date)) }}
{%- endmacro %}

{% macro default__date_trunc(datepart, date) -%}
date_trunc('{{ datepart }}', {{ date }})
{%- endmacro %}

{# The last day of the part a date lies in. #}
{% macro last_day(date, datepart) -%}
  {{ return(adapter.dispatch('last_day', 'dbt')(date, datepart)) }}
{%- endmacro %}

{% macro default__last_day(date, datepart) -%}
{{ default_last_day(date, datepart) }}
{%- endmacro %}

{% macro default_last_day(date, datepart) -%}
  {%- set start = dbt.date_trunc(datepart, date) -%}
  {%- set next = dbt.dateadd(datepart, '1', start) -%}
  cast({{ dbt.dateadd('day', '-1', next) }} as date)
{%- endmacro %}

{# A constant date. #}
{% macro date(year, month, day) -%}
  {{ return(adapter.dispatch('date', 'dbt')(year, month, day)) }}
{%- endmacro %}

{% macro default__date(year, month, day) -%}
cast('{{ modules.datetime.date(year, month, day).isoformat() }}' as date)
{%- endmacro %}

{# Now, with its time zone. #}
{% macro current_timestamp() -%}
  {{ adapter.dispatch('current_timestamp', 'dbt')() }}
{%- endmacro %}

{% macro default__current_timestamp() -%}
now()
{%- endmacro %}

{# What a snapshot stamps its rows with. #}
{% macro snapshot_get_time() -%}
  {{ adapter.dispatch('snapshot_get_time', 'dbt')() }}
{%- endmacro %}

{% macro default__snapshot_get_time() -%}
cast({{ current_timestamp() }} as timestamp)
{%- endmacro %}

{# Now, without a time zone. #}
{% macro current_timestamp_backcompat() -%}
  {{ return(adapter.dispatch('current_timestamp_backcompat', 'dbt')()) }}
{%- endmacro %}

{% macro default__current_timestamp_backcompat() -%}
cast(current_timestamp as timestamp)
{%- endmacro %}

{# Now in UTC, without a time zone. #}
{% macro current_timestamp_in_utc_backcompat() -%}
  {{ return(adapter.dispatch('current_timestamp_in_utc_backcompat', 'dbt')()) }}
{%- endmacro %}

{% macro default__current_timestamp_in_utc_backcompat() -%}
{{ adapter.dispatch('current_timestamp_backcompat', 'dbt')() }}
{%- endmacro %}

{# How many parts lie between two dates; asks the database. #}
{% macro get_intervals_between(start_date, end_date, datepart) -%}
  {{ return(adapter.dispatch('get_intervals_between', 'dbt')(start_date, end_date, datepart)) }}
{%- endmacro %}

{% macro default__get_intervals_between(start_date, end_date, datepart) -%}
{%- call statement('get_intervals_between', fetch_result=true) -%}
  select {{ dbt.datediff(start_date, end_date, datepart) }}
{%- endcall -%}
{%- set found = load_result('get_intervals_between') -%}
{{ return(found['data'][0][0] if found and found['data'] else 1) }}
{%- endmacro %}

{# The smallest exponent (at least 1) whose power of two reaches a number. #}
{% macro get_powers_of_two(upper_bound) -%}
  {{ return(adapter.dispatch('get_powers_of_two', 'dbt')(upper_bound)) }}
{%- endmacro %}

{% macro default__get_powers_of_two(upper_bound) -%}
{%- if upper_bound <= 0 -%}
  {{ exceptions.raise_compiler_error('get_powers_of_two: the upper bound must be positive, not ' ~ upper_bound) }}
{%- endif -%}
{%- for exponent in range(1, 100) -%}
  {%- if 2 ** exponent >= upper_bound -%}{{ return(exponent) }}{%- endif -%}
{%- endfor -%}
{%- endmacro %}

{# A query of the numbers from 1 to `upper_bound`, as `generated_number`. #}
{% macro generate_series(upper_bound) -%}
  {{ return(adapter.dispatch('generate_series', 'dbt')(upper_bound)) }}
{%- endmacro %}

{% macro default__generate_series(upper_bound) -%}
select generated_number from generate_series(1, {{ upper_bound }}) as numbers(generated_number) order by generated_number
{%- endmacro %}

{# A query of every part from one date up to, and without, another, as `date_<part>`. #}
{% macro date_spine(datepart, start_date, end_date) -%}
  {{ return(adapter.dispatch('date_spine', 'dbt')(datepart, start_date, end_date)) }}
{%- endmacro %}

{% macro default__date_spine(datepart, start_date, end_date) -%}
with numbers as (
  {{ dbt.generate_series(dbt.get_intervals_between(start_date, end_date, datepart)) }}
),
spine as (
  select {{ dbt.dateadd(datepart, '(generated_number - 1)', start_date) }} as date_{{ datepart }}
  from numbers
)
select * from spine where date_{{ datepart }} <= {{ end_date }}
{%- endmacro %}

{# Dates from one day to another, both included, as texts in `out_fmt` (or dates, where that is empty). #}
{% macro dates_in_range(start_date_str, end_date_str=none, in_fmt="%Y%m%d", out_fmt="%Y%m%d") %}
  {%- set first = convert_datetime(start_date_str, in_fmt) -%}
  {%- set last = convert_datetime(end_date_str if end_date_str is not none else start_date_str, in_fmt) -%}
  {%- set days = (last - first).days -%}
  {%- if days < 0 -%}
    {{ exceptions.raise_compiler_error('dates_in_range: the first date is after the last (' ~ first ~ ', ' ~ last ~ ')') }}
  {%- endif -%}
  {%- set dates = [] -%}
  {%- for step in range(days + 1) -%}
    {%- set day = first + modules.datetime.timedelta(days=step) -%}
    {%- do dates.append(day.strftime(out_fmt) if out_fmt else day) -%}
  {%- endfor -%}
  {{ return(dates) }}
{% endmacro %}

{% macro convert_datetime(date_str, date_fmt) %}
  {%- set problem = "the date '" ~ date_str ~ "' does not have the format '" ~ date_fmt ~ "'" -%}
  {{ return(try_or_compiler_error(problem, modules.datetime.datetime.strptime, date_str.strip(), date_fmt)) }}
{% endmacro %}

{# The dates of `first` or `first,last`. #}
{% macro partition_range(raw_partition_date, date_fmt='%Y%m%d') %}
  {%- set ends = (raw_partition_date | string).split(',') -%}
  {%- if ends | length > 2 -%}
    {{ exceptions.raise_compiler_error('partition_range: expected one date or two with a comma, got ' ~ raw_partition_date) }}
  {%- endif -%}
  {{ return(dates_in_range(ends[0], ends[1] if ends | length == 2 else none, in_fmt=date_fmt)) }}
{% endmacro %}

{% macro py_current_timestring() %}
  {{ return(modules.datetime.datetime.now().strftime("%Y%m%d%H%M%S%f")) }}
{% endmacro %}
