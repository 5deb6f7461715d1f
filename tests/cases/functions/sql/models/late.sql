select item, {{ function('net') }}(gross) as twice_net from {{ ref('totals') }}
