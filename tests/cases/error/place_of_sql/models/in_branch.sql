{{ config(materialized='incremental', unique_key='id') }}
select id, price from {{ ref('orders') }}
{% if is_incremental() %}
where id > (select max(wrong_in_branch) from {{ this }})
{% endif %}
