select * from {{ ref('m7') }}
