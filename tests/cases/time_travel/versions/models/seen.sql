select * from {{ ref('log') }}
