select * from {{ ref('m6') }}
