{{ config(
    materialized='table',
    post_hook="select wrong_in_hook from {{ this }}"
) }}
select 1 as id
