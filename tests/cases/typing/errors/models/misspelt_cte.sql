with buyers as (select * from {{ ref('customers') }})
select * from buyer
