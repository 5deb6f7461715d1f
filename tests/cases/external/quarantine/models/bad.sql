-- depends on: {{ source('raw', 'sale') }}
select regexp_replace(_file, '.*/', '') as file, _line as line, _row as content, _reason as reason from raw.sale__rejects
