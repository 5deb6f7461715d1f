select * from {{ source('raw', 'sale') }}
