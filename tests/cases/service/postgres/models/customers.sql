select distinct customer from {{ ref('payments') }}
