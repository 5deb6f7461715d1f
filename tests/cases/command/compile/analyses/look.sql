{# nothing #}select '{{ project_name }}' as name
