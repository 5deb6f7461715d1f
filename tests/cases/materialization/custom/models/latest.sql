select max(day) as day from {{ ref('days') }}
