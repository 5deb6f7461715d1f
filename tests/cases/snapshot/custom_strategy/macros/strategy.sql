{% macro snapshot_big_steps_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) %}
    {% do return({
        'unique_key': config.get('unique_key'),
        'updated_at': snapshot_get_time(),
        'row_changed': 'abs(' ~ snapshotted_rel ~ '.price - ' ~ current_rel ~ '.price) >= ' ~ config.get('least'),
        'scd_id': snapshot_hash_arguments(['id', 'price']),
    }) %}
{% endmacro %}

{% macro default__snapshot_hash_arguments(args) %}
    {{ args | join(" || '-' || ") }}
{% endmacro %}
