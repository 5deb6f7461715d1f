select * from {{ ref('m10') }}
