{{ config(materialized=env_var('KIND')) }}
select '{{ env_var('KIND') }}' as kind
