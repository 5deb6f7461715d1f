{% macro note(text) %}insert into audit values ('{{ text }}'){% endmacro %}
