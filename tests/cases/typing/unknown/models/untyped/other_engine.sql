select flatten_everything(x) as y from (select 1 as x) as t
