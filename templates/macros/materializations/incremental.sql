{# A table that later runs add to, by the strategy that the config names. #}
{% materialization incremental, default %}
  {%- set target = this.incorporate(type='table') -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set staged = make_temp_relation(target) -%}
  {%- set intermediate = make_intermediate_relation(target) -%}
  {%- set backup = make_backup_relation(target, 'table' if existing is none else existing.type) -%}
  {%- set anew = should_full_refresh() or (existing is not none and existing.is_view) -%}
  {%- set on_change = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') -%}
  {{ drop_relation_if_exists(load_cached_relation(intermediate)) }}
  {{ drop_relation_if_exists(load_cached_relation(backup)) }}
  {{ run_hooks(pre_hooks, inside_transaction=false) }}
  {{ run_hooks(pre_hooks, inside_transaction=true) }}
  {%- set strategy = adapter.get_incremental_strategy_macro(context, config.get('incremental_strategy') or 'default') -%}
  {%- if existing is none -%}
    {%- set build_sql = get_create_table_as_sql(false, target, sql) -%}
    {%- set indexed = target -%}
  {%- elif anew -%}
    {%- set build_sql = get_create_table_as_sql(false, intermediate, sql) -%}
    {%- set indexed = intermediate -%}
  {%- else -%}
    {%- do run_query(get_create_table_as_sql(true, staged, sql)) -%}
    {%- set contract = config.get('contract') -%}
    {%- if not contract or not contract.enforced -%}
      {%- do adapter.expand_target_column_types(from_relation=staged, to_relation=target) -%}
    {%- endif -%}
    {%- set columns = process_schema_changes(on_change, staged, existing) -%}
    {%- if not columns -%}
      {%- set columns = adapter.get_columns_in_relation(existing) -%}
    {%- endif -%}
    {%- set build_sql = strategy({
      'target_relation': target,
      'temp_relation': staged,
      'unique_key': config.get('unique_key'),
      'dest_columns': columns,
      'incremental_predicates': config.get('predicates') or config.get('incremental_predicates')
    }) -%}
    {%- set indexed = staged -%}
  {%- endif -%}
  {% call statement('main') %}
    {{ build_sql }}
  {% endcall %}
  {%- if existing is none or existing.is_view or should_full_refresh() -%}
    {%- do create_indexes(indexed) -%}
  {%- endif -%}
  {%- set swapped = existing is not none and anew -%}
  {%- if swapped -%}
    {%- do adapter.rename_relation(existing, backup) -%}
    {%- do adapter.rename_relation(intermediate, target) -%}
  {%- endif -%}
  {%- do apply_grants(target, config.get('grants'), should_revoke=should_revoke(existing, anew)) -%}
  {%- do persist_docs(target, model) -%}
  {{ run_hooks(post_hooks, inside_transaction=true) }}
  {%- do adapter.commit() -%}
  {%- if swapped -%}
    {%- do adapter.drop_relation(backup) -%}
  {%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=false) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}
