select anything_at_all from {{ ref('misspelt_column') }}
