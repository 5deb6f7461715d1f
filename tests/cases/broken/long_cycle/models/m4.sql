select * from {{ ref('m5') }}
