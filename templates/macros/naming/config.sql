{# Whether tables are built anew: the node's `full_refresh`, else the flag. #}
{% macro should_full_refresh() %}
  {%- set configured = config.get('full_refresh') -%}
  {{ return(flags.FULL_REFRESH if configured is none else configured) }}
{% endmacro %}

{# Whether a test keeps the rows it finds: its `store_failures`, else the flag. #}
{% macro should_store_failures() %}
  {%- set kept_as = config.get('store_failures_as') -%}
  {%- if kept_as -%}{{ return(kept_as != 'ephemeral') }}{%- endif -%}
  {%- set configured = config.get('store_failures') -%}
  {{ return(flags.STORE_FAILURES if configured is none else configured) }}
{% endmacro %}

{# Whether this run adds to a table that is there already. #}
{% macro is_incremental() %}
  {%- if not execute -%}{{ return(false) }}{%- endif -%}
  {%- set existing = adapter.get_relation(this.database, this.schema, this.table) -%}
  {{ return(existing is not none and existing.type == 'table' and model.config.materialized == 'incremental' and not should_full_refresh()) }}
{% endmacro %}

{# Puts the SQL of its block before the statement that builds the node. #}
{% macro set_sql_header(config) -%}
  {{ config.set('sql_header', caller()) }}
{%- endmacro %}
