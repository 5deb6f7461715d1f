select customer, n + {{ plus() }} as n, {{ shop.plus() }} as m, {{ dbt.current_timestamp() }} as at from {{ ref('eph') }}
