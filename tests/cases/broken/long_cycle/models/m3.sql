select * from {{ ref('m4') }}
