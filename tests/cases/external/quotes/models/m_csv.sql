select * from {{ source('raw', 'csv') }}
