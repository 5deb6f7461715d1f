select * from {{ ref('nowhere', 'b') }}
