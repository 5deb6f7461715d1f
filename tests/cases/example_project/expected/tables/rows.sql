select 'stg_tickit__categories' as model, count(*) as n from {{ ref('stg_tickit__categories') }}
union all select 'stg_tickit__dates', count(*) from {{ ref('stg_tickit__dates') }}
union all select 'stg_tickit__events', count(*) from {{ ref('stg_tickit__events') }}
union all select 'stg_tickit__listings', count(*) from {{ ref('stg_tickit__listings') }}
union all select 'stg_tickit__sales', count(*) from {{ ref('stg_tickit__sales') }}
union all select 'stg_tickit__users', count(*) from {{ ref('stg_tickit__users') }}
union all select 'stg_tickit__venues', count(*) from {{ ref('stg_tickit__venues') }}
union all select 'int_buyers_extracted_from_users', count(*) from {{ ref('int_buyers_extracted_from_users') }}
union all select 'int_sellers_extracted_from_users', count(*) from {{ ref('int_sellers_extracted_from_users') }}
union all select 'dim_events', count(*) from {{ ref('dim_events') }}
union all select 'dim_non_buyers', count(*) from {{ ref('dim_non_buyers') }}
union all select 'fct_listings', count(*) from {{ ref('fct_listings') }}
union all select 'fct_sales', count(*) from {{ ref('fct_sales') }}
union all select 'fct_daily_sales', count(*) from {{ ref('fct_daily_sales') }}
union all select 'state_regions', count(*) from {{ ref('state_regions') }}
