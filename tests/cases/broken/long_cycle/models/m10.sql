select * from {{ ref('m11') }}
