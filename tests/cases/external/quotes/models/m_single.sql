select * from {{ source('raw', 'single') }}
