{% snapshot old_snap %}
{{ config(target_schema='snaps', unique_key='id', strategy='timestamp', updated_at='ordered_at') }}
select id, amount, cast(ordered_at as timestamp) as ordered_at from {{ ref('raw_orders') }}
{% endsnapshot %}
