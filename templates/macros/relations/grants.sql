{# Whether a relation that replaces another takes over its grants. The embedded engine has none: whoever guards the files does. #}
{% macro copy_grants() -%}
  {{ return(adapter.dispatch('copy_grants', 'dbt')()) }}
{%- endmacro %}

{% macro default__copy_grants() -%}
  {{ return(true) }}
{%- endmacro %}

{% macro postgres__copy_grants() -%}
  {{ return(false) }}
{%- endmacro %}

{% macro datafusion__copy_grants() -%}
  {{ return(false) }}
{%- endmacro %}

{% macro support_multiple_grantees_per_dcl_statement() %}
  {{ return(adapter.dispatch('support_multiple_grantees_per_dcl_statement', 'dbt')()) }}
{% endmacro %}

{% macro default__support_multiple_grantees_per_dcl_statement() %}
  {{ return(true) }}
{% endmacro %}

{# Whether grants may be there that the config does not name. #}
{% macro should_revoke(existing_relation, full_refresh_mode=true) %}
  {%- if not existing_relation -%}
    {{ return(false) }}
  {%- endif -%}
  {{ return(copy_grants() if full_refresh_mode else true) }}
{% endmacro %}

{% macro get_show_grant_sql(relation) %}
  {{ return(adapter.dispatch('get_show_grant_sql', 'dbt')(relation)) }}
{% endmacro %}

{% macro default__get_show_grant_sql(relation) -%}
show grants on {{ relation.render() }}
{%- endmacro %}

{% macro postgres__get_show_grant_sql(relation) -%}
select grantee, privilege_type
from {{ relation.information_schema('role_table_grants') }}
where grantor = current_role
  and grantee != current_role
  and table_schema = '{{ relation.schema }}'
  and table_name = '{{ relation.identifier }}'
{%- endmacro %}

{% macro get_grant_sql(relation, privilege, grantees) %}
  {{ return(adapter.dispatch('get_grant_sql', 'dbt')(relation, privilege, grantees)) }}
{% endmacro %}

{% macro default__get_grant_sql(relation, privilege, grantees) -%}
grant {{ privilege }} on {{ relation.render() }} to {{ get_quoted_csv(grantees) }}
{%- endmacro %}

{% macro get_revoke_sql(relation, privilege, grantees) %}
  {{ return(adapter.dispatch('get_revoke_sql', 'dbt')(relation, privilege, grantees)) }}
{% endmacro %}

{% macro default__get_revoke_sql(relation, privilege, grantees) -%}
revoke {{ privilege }} on {{ relation.render() }} from {{ get_quoted_csv(grantees) }}
{%- endmacro %}

{% macro get_dcl_statement_list(relation, grant_config, get_dcl_macro) %}
  {{ return(adapter.dispatch('get_dcl_statement_list', 'dbt')(relation, grant_config, get_dcl_macro)) }}
{% endmacro %}

{% macro default__get_dcl_statement_list(relation, grant_config, get_dcl_macro) %}
  {%- set statements = [] -%}
  {%- for privilege, grantees in grant_config.items() if grantees -%}
    {%- if support_multiple_grantees_per_dcl_statement() -%}
      {%- do statements.append(get_dcl_macro(relation, privilege, grantees)) -%}
    {%- else -%}
      {%- for grantee in grantees -%}{%- do statements.append(get_dcl_macro(relation, privilege, [grantee])) -%}{%- endfor -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(statements) }}
{% endmacro %}

{% macro call_dcl_statements(dcl_statement_list) %}
  {{ return(adapter.dispatch('call_dcl_statements', 'dbt')(dcl_statement_list)) }}
{% endmacro %}

{% macro default__call_dcl_statements(dcl_statement_list) %}
  {% call statement('grants') %}
    {{ dcl_statement_list | join(';\n') }};
  {% endcall %}
{% endmacro %}

{# Brings a relation's grants to what the config `grants` says. #}
{% macro apply_grants(relation, grant_config, should_revoke) %}
  {{ return(adapter.dispatch('apply_grants', 'dbt')(relation, grant_config, should_revoke)) }}
{% endmacro %}

{% macro default__apply_grants(relation, grant_config, should_revoke=true) %}
  {%- if grant_config -%}
    {%- set missing = grant_config -%}
    {%- set extra = {} -%}
    {%- if should_revoke -%}
      {%- set present = adapter.standardize_grants_dict(run_query(get_show_grant_sql(relation))) -%}
      {%- set missing = diff_of_two_dicts(grant_config, present) -%}
      {%- set extra = diff_of_two_dicts(present, grant_config) -%}
    {%- endif -%}
    {%- set statements = get_dcl_statement_list(relation, extra, get_revoke_sql) + get_dcl_statement_list(relation, missing, get_grant_sql) -%}
    {%- if statements -%}
      {{ call_dcl_statements(statements) }}
    {%- else -%}
      {%- do log('On ' ~ relation.render() ~ ': grants are as configured') -%}
    {%- endif -%}
  {%- endif -%}
{% endmacro %}

{% macro datafusion__apply_grants(relation, grant_config, should_revoke=true) %}
{% endmacro %}
