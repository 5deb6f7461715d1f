select id, {{ function('double_it') }}(amount) as twice from {{ ref('orders') }}
