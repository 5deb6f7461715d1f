select * from {{ ref('q', 'pub') }}
