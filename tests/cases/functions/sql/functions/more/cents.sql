{{ function('net') }}(price) * {{ var('factor', 100) }}
