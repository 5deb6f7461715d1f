{% snapshot some_columns %}
{{ config(strategy='check', unique_key=['shop', 'item'], check_cols=['count']) }}
select * from {{ ref('stock') }}
{% endsnapshot %}

{% snapshot all_columns %}
{{ config(strategy='check', unique_key="shop || '/' || item", check_cols='all', schema='history', alias='stock_history') }}
select * from {{ ref('stock') }}
{% endsnapshot %}
