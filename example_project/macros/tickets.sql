{#- What one ticket costs, given the price of several; dollars and cents. -#}
{% macro per_ticket(amount, quantity) -%}
    round({{ amount }} / {{ quantity }}, 2)
{%- endmacro %}

{#- The kinds of events a user may like, in the order of their columns. -#}
{% macro like_kinds() -%}
    {{ return(['broadway', 'classical', 'concerts', 'jazz', 'musicals', 'opera', 'rock', 'sports', 'theatre', 'vegas']) }}
{%- endmacro %}

{#- One row for each kind of event: how many users of `relation` like it. -#}
{% macro count_likes(relation) -%}
    {%- for kind in like_kinds() %}
    select '{{ kind }}' as event_type, count(*) as likes
    from {{ relation }}
    where like_{{ kind }}
    {%- if not loop.last %}
    union all
    {%- endif -%}
    {%- endfor %}
{%- endmacro %}
