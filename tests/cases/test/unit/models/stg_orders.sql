select id as order_id, customer, amount, cast(ordered_at as date) as ordered_on, note from {{ ref('raw_orders') }}
