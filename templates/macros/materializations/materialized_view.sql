{# A materialized view: made, replaced, changed in its indexes, or refreshed. #}
{% materialization materialized_view, default %}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='materialized_view') -%}
  {%- set intermediate = make_intermediate_relation(target) -%}
  {%- set backup = make_backup_relation(target, target.type if existing is none else existing.type) -%}
  {{ materialized_view_setup(backup, intermediate, pre_hooks) }}
  {%- set build_sql = materialized_view_get_build_sql(existing, target, backup, intermediate) -%}
  {%- if build_sql | trim == '' -%}
    {{ materialized_view_execute_no_op(target) }}
  {%- else -%}
    {{ materialized_view_execute_build_sql(build_sql, existing, target, post_hooks) }}
  {%- endif -%}
  {{ materialized_view_teardown(backup, intermediate, post_hooks) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% macro materialized_view_setup(backup_relation, intermediate_relation, pre_hooks) %}
  {{ drop_relation_if_exists(load_cached_relation(backup_relation)) }}
  {{ drop_relation_if_exists(load_cached_relation(intermediate_relation)) }}
  {{ run_hooks(pre_hooks, inside_transaction=false) }}
{% endmacro %}

{% macro materialized_view_teardown(backup_relation, intermediate_relation, post_hooks) %}
  {{ drop_relation_if_exists(backup_relation) }}
  {{ drop_relation_if_exists(intermediate_relation) }}
  {{ run_hooks(post_hooks, inside_transaction=false) }}
{% endmacro %}

{% macro materialized_view_get_build_sql(existing_relation, target_relation, backup_relation, intermediate_relation) %}
  {%- if existing_relation is none -%}
    {{ return(get_create_materialized_view_as_sql(target_relation, sql)) }}
  {%- elif should_full_refresh() or not existing_relation.is_materialized_view -%}
    {{ return(get_replace_sql(existing_relation, target_relation, sql)) }}
  {%- endif -%}
  {%- set changes = get_materialized_view_configuration_changes(existing_relation, config) -%}
  {%- set reaction = config.get('on_configuration_change') or 'apply' -%}
  {%- if changes is none -%}
    {{ return(refresh_materialized_view(target_relation)) }}
  {%- elif reaction == 'apply' -%}
    {{ return(get_alter_materialized_view_as_sql(target_relation, changes, sql, existing_relation, backup_relation, intermediate_relation)) }}
  {%- elif reaction == 'continue' -%}
    {{ exceptions.warn('Configuration changes were identified and `on_configuration_change` was set to `continue` for `' ~ target_relation.render() ~ '`') }}
    {{ return('') }}
  {%- elif reaction == 'fail' -%}
    {{ exceptions.raise_fail_fast_error('Configuration changes were identified and `on_configuration_change` was set to `fail` for `' ~ target_relation.render() ~ '`') }}
  {%- endif -%}
  {{ exceptions.raise_compiler_error('Unexpected configuration scenario') }}
{% endmacro %}

{% macro materialized_view_execute_no_op(target_relation) %}
  {%- do store_raw_result(name='main', message='skip ' ~ target_relation, code='skip', rows_affected='-1') -%}
{% endmacro %}

{% macro materialized_view_execute_build_sql(build_sql, existing_relation, target_relation, post_hooks) %}
  {{ run_hooks(pre_hooks, inside_transaction=true) }}
  {% call statement(name='main') %}
    {{ build_sql }}
  {% endcall %}
  {%- do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke(existing_relation, full_refresh_mode=true)) -%}
  {%- do persist_docs(target_relation, model) -%}
  {{ run_hooks(post_hooks, inside_transaction=true) }}
  {{ adapter.commit() }}
{% endmacro %}

{% macro get_create_materialized_view_as_sql(relation, sql) -%}
  {{ adapter.dispatch('get_create_materialized_view_as_sql', 'dbt')(relation, sql) }}
{%- endmacro %}

{% macro default__get_create_materialized_view_as_sql(relation, sql) -%}
  {{ exceptions.raise_compiler_error('`get_create_materialized_view_as_sql` has not been implemented for this adapter.') }}
{%- endmacro %}

{% macro postgres__get_create_materialized_view_as_sql(relation, sql) -%}
create materialized view if not exists {{ relation }} as {{ sql }};
  {%- for index in config.get('indexes', []) %}
{{ get_create_index_sql(relation, index) }};
  {%- endfor %}
{%- endmacro %}

{% macro refresh_materialized_view(relation) -%}
  {%- do log('Applying REFRESH to: ' ~ relation) -%}
  {{ adapter.dispatch('refresh_materialized_view', 'dbt')(relation) }}
{%- endmacro %}

{% macro default__refresh_materialized_view(relation) -%}
  {{ exceptions.raise_compiler_error('`refresh_materialized_view` has not been implemented for this adapter.') }}
{%- endmacro %}

{% macro postgres__refresh_materialized_view(relation) -%}
refresh materialized view {{ relation }}
{%- endmacro %}

{% macro get_materialized_view_configuration_changes(existing_relation, new_config) %}
  {{ return(adapter.dispatch('get_materialized_view_configuration_changes', 'dbt')(existing_relation, new_config)) }}
{% endmacro %}

{% macro default__get_materialized_view_configuration_changes(existing_relation, new_config) %}
  {{ exceptions.raise_compiler_error('Materialized views have not been implemented for this adapter.') }}
{% endmacro %}

{% macro postgres__describe_materialized_view(relation) %}
  {{ return({'indexes': run_query(get_show_indexes_sql(relation))}) }}
{% endmacro %}

{# The indexes to drop and to make, or none where all are as the config has them. #}
{% macro postgres__get_materialized_view_configuration_changes(existing_relation, new_config) %}
  {%- set present = {} -%}
  {%- for row in postgres__describe_materialized_view(existing_relation)['indexes'].rows -%}
    {%- do present.update({row['column_names'].split(',') | sort | join(',') ~ '|' ~ row['method'] ~ '|' ~ row['unique']: row['name']}) -%}
  {%- endfor -%}
  {%- set changes = [] -%}
  {%- set wanted = {} -%}
  {%- for index in new_config.get('indexes') or [] -%}
    {%- do wanted.update({index['columns'] | sort | join(',') ~ '|' ~ (index.get('type') or 'btree') ~ '|' ~ (index.get('unique') or false): index}) -%}
  {%- endfor -%}
  {%- for key, name in present.items() if key not in wanted -%}{%- do changes.append({'action': 'drop', 'context': {'name': name}}) -%}{%- endfor -%}
  {%- for key, index in wanted.items() if key not in present -%}{%- do changes.append({'action': 'create', 'context': {'as_node_config': index}}) -%}{%- endfor -%}
  {{ return({'indexes': changes, 'requires_full_refresh': false} if changes | length > 0 else none) }}
{% endmacro %}

{% macro get_alter_materialized_view_as_sql(relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation) -%}
  {%- do log('Applying ALTER to: ' ~ relation) -%}
  {{ adapter.dispatch('get_alter_materialized_view_as_sql', 'dbt')(
    relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation
  ) }}
{%- endmacro %}

{% macro default__get_alter_materialized_view_as_sql(relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation) -%}
  {{ exceptions.raise_compiler_error('Materialized views have not been implemented for this adapter.') }}
{%- endmacro %}

{% macro postgres__get_alter_materialized_view_as_sql(relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation) -%}
  {%- if configuration_changes.requires_full_refresh -%}
{{ get_replace_sql(existing_relation, relation, sql) }}
  {%- else -%}
{{ postgres__update_indexes_on_materialized_view(relation, configuration_changes.indexes) }}
  {%- endif -%}
{%- endmacro %}

{% macro postgres__update_indexes_on_materialized_view(relation, index_changes) -%}
  {%- for change in index_changes -%}
{{ get_drop_index_sql(relation, change.context.name) if change.action == 'drop' else get_create_index_sql(relation, change.context.as_node_config) }};
  {% endfor -%}
{%- endmacro %}
