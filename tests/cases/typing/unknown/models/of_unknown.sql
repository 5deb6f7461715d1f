select id, nobody_knows from {{ source('raw', 'orders') }}
