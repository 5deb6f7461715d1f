select {{ run_query('select 3 as n').columns[0].values()[0] if execute }} as id
