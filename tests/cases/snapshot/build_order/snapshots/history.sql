{% snapshot versions %}
{{ config(strategy='timestamp', unique_key='key', updated_at='at', target_schema='snaps',
    pre_hook="create table if not exists snaps.log (what varchar)", post_hook="insert into snaps.log select 'taken ' || count(*) from {{ this }}") }}
select key, 1 as id, cast('2024-01-01' as timestamp) as at from {{ ref('two') }}
{% endsnapshot %}
