select max(price) from {{ ref('prices') }} where item = wanted
