select c.id, c.note, c._change_type from table_changes('log', 1, 1) as c
