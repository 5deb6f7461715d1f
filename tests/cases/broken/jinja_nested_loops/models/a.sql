select 1 as id {% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% set x = c %}{% endfor %}{% endfor %}{% endfor %}
