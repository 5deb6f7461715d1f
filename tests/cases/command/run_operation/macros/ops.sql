{% macro greet(name, times=1) %}
    {% for _ in range(times) %}{{ log('hello ' ~ name, info=true) }}{% endfor %}
    {% do run_query('create table if not exists greeted (name varchar)') %}
    {% do run_query("insert into greeted values ('" ~ name ~ "')") %}
{% endmacro %}
{% macro fails() %}{{ exceptions.raise_compiler_error('not today') }}{% endmacro %}
