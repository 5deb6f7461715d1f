{% snapshot history %}
{{ config(unique_key='id', strategy='check', check_cols=['amount'], target_schema='case_postgres') }}
select id, amount from {{ ref('payments') }}
{% endsnapshot %}
