select * from {{ ref('fct_daily_sales') }} where sale_date <= cast('2025-01-05' as date)
