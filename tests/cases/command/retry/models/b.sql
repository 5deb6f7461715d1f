select idd from {{ ref('a') }}
