select n * 10 as n from {{ ref('totals') }}
