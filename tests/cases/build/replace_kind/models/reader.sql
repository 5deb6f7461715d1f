select * from {{ ref('shape') }}
