select name, sum(amount) as total, count(*) as n from {{ ref('a') }} group by name
