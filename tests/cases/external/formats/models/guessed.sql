select id, name, price from {{ source('raw', 'guessed') }}
