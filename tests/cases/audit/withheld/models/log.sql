{{ config(materialized='incremental', unique_key='id', on_schema_change='append_new_columns') }}
select id, amount{% if var('wide', false) %}, 1 as wide{% endif %} from {{ ref('orders') }}
