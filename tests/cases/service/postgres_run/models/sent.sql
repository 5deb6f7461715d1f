{# The comment that the server got with this very statement. #}
{{ config(materialized='table') }}
select split_part(query, E'\n', 1) as first_line from pg_stat_activity where pid = pg_backend_pid()
