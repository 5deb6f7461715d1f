select day, id from {{ source('raw', 'parquet') }} where day = 2
