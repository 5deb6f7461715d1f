{{ config(post_hook="select 1") }}
select id, customer_id, amount, status, ordered_at from {{ ref('eph') }}
