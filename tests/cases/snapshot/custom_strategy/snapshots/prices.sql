{% snapshot price_history %}
{{ config(strategy='big_steps', unique_key='id', least=5) }}
select * from {{ ref('prices') }}
{% endsnapshot %}
