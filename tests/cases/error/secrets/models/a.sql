select '{{ target | list | join(",") }}' as keys, '{{ target.values() | list | join(",") }}' as the_values,
    '{{ target.password }}' as password
