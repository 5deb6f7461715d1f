select '{{ var('season') }}' as season
