{% macro one(a) %}
{{ a }}
