{{ config(tags=['nightly', 'slow']) }} select * from {{ ref('one') }}
