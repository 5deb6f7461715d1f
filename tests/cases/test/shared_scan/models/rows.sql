select * from (values (1, 'a', 'x'), (1, 'b', null), (2, null, 'y'), (null, 'c', 'z'), (null, 'q', 'z')) v(id, kind, name)
