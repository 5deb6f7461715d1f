{%- set re = modules.re -%}
select
    '{{ re.sub("(?<=[a-z])(?=[A-Z])", "_", "orderItemId") }}' as snake,
    '{{ re.findall("\\b(?!tmp_)\\w+_id\\b", "tmp_id order_id") | join(" ") }}' as ids,
    '{{ re.search("(\\w)\\1", "hello").group(0) }}' as twice,
    '{{ re.split("([,;])", "a,b;c") | join("|") }}' as parts,
    '{{ re.split(",", "a,b,c", 1) | join("|") }}' as two,
    '{{ re.sub("(?P<first>\\w)x", "\\g<first>$", "axbxcx", count=2) }}' as swapped,
    '{{ re.match("a+\\Z", "aab") is none }}' as whole
