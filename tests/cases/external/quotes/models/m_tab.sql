select * from {{ source('raw', 'tab') }}
