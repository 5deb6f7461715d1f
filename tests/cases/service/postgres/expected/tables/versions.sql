select id, amount, dbt_valid_to is null as is_open from case_postgres.history
