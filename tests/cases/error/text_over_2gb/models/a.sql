{{ config(materialized="table") }}
select max(length(a.t || b.i)) as longest
from (select repeat('x', 1000000 + k) as t, k from (values (0), (1)) as v(k)) as a
join (select i, i % 2 as k from generate_series(1, 4600) as g(i)) as b on a.k = b.k
