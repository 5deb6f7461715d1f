x * {{ var('days') }}
