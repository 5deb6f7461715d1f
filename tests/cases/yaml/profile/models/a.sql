select '{{ target.name }}' as target, '{{ target.schema }}' as schema, {{ target.threads }} as threads
