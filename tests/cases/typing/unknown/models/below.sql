select nobody_knows + 1 as n from {{ ref('of_unknown') }}
