{{ config(enabled=var('broken', false)) }}
select * from case_postgres.nowhere
