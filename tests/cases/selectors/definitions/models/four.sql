select * from {{ ref('three') }}
