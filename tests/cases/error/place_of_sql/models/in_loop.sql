select
    {%- for column in ['id', 'price', 'prise'] %}
    {{ column }} as c_{{ loop.index }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
from {{ ref('orders') }}
