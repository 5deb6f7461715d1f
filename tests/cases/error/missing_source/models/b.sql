select * from {{ source('web', 'evnts') }}
