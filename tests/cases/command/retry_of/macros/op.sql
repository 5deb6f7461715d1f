{% macro op(text) %}{% if var('broken', false) %}{% do exceptions.raise_compiler_error('stop') %}{% endif %}{{ log('op says ' ~ text, info=true) }}{% endmacro %}
