select * from {{ ref('m3') }}
