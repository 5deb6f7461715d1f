select * from {{ ref('shop', 'orders', version=3) }} join {{ ref('cust') }} using (id)
