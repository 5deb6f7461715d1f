{% for i in range(10000000000) %}{{ i }}{% endfor %}
