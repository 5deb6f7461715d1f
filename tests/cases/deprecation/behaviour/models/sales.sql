select 1 as id, date '2024-01-01' as day, 1 as amount, '{{ modules.itertools.product('ab', [1, 2]) | map('join') | join('-') }}' as pairs
