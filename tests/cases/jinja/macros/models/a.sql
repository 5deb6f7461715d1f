{%- set ns = namespace(total=0) -%}
{%- for n in [1, 2, 3] -%}{%- set ns.total = ns.total + n -%}{%- endfor -%}
select
    '{{ shout('hi') }}' as a,
    '{{ shout('hi', mark='?') }}' as b,
    {% call wrapped() %}1 + 1{% endcall %} as c,
    {% for name in names() %}'{{ name }}' as {{ name }}{{ ", " if not loop.last }}{% endfor %},
    {{ ns.total }} as total,
    {{ dialect() }} as dialect,
    '{{ "a,b".split(",") | join("-") }}' as joined,
    '{{ "%05.1f" | format(3.14159) }}' as formatted,
    {{ [1, 2, 3] | length }} as n,
    '{{ tojson({"k": [1, true, none]}) }}' as json,
    {{ fromjson('{"v": 7}')['v'] }} as v,
    '{{ "Title Case".lower().replace(" ", "_") }}' as lowered
