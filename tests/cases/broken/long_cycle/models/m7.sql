select * from {{ ref('m8') }}
