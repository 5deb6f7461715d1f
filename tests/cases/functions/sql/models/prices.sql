select * from (values ('tea', 12.5), ('tea', 25.0), ('rum', 50.0)) as t(item, price)
