{% include 'models/a.sql' %}
