select '{{ env_var('SEASON') }}' as season
