{% macro make_role() %}
  {%- do run_query("drop schema if exists " ~ target.schema ~ " cascade") -%}
  {%- do run_query("do $$ begin if exists (select from pg_roles where rolname = 'case_connections') then drop owned by case_connections; drop role case_connections; end if; end $$") -%}
  {%- do run_query("create role case_connections login connection limit 3 password '" ~ "headwater-test'") -%}
  {%- do run_query("create schema " ~ target.schema ~ " authorization case_connections") -%}
{% endmacro %}
