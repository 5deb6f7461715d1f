{{ config(materialized='table', indexes=[{'columns': ['customer'], 'unique': true}], post_hook="comment on table {{ this }} is 'sums'") }}
select c.customer, sum(p.amount) as total
from {{ ref('customers') }} c
join {{ ref('payments') }} p using (customer)
group by 1
