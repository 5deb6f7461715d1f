{{ config(materialized='table') }}
select 'gz' as format, id, name, cast(price as decimal(8,2)) as price from {{ source('raw', 'gz') }}
union all
select 'zst' as format, id, name, cast(price as decimal(8,2)) as price from {{ source('raw', 'zst') }}
union all
select 'jsonl' as format, id, name, cast(price as decimal(8,2)) as price from {{ source('raw', 'jsonl') }}
union all
select 'parquet' as format, id, name, cast(price as decimal(8,2)) as price from {{ source('raw', 'parquet') }}
union all
select 'avro' as format, id, name, cast(price as decimal(8,2)) as price from {{ source('raw', 'avro') }}
union all
select 'delta' as format, id, name, cast(price as decimal(8,2)) as price from {{ source('raw', 'delta') }}
