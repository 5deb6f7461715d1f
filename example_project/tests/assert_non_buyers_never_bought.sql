-- Buyers and non-buyers share nobody, and together they are all users.
with counted as (

    select
        (select count(*) from {{ ref('stg_tickit__users') }}) as users,
        (select count(*) from {{ ref('int_buyers_extracted_from_users') }}) as buyers,
        (select count(*) from {{ ref('dim_non_buyers') }}) as non_buyers

)

select * from counted
where users <> buyers + non_buyers
