select * from {{ ref('m9') }}
