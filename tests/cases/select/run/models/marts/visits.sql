{{ config(tags=['web', 'nightly']) }}
select * from {{ ref('stg_events') }}
