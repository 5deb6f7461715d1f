select * from {{ ref('m0') }}
