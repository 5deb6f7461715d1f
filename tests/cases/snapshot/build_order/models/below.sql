select * from {{ ref('versions') }}
