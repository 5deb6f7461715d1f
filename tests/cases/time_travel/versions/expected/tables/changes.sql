select id, note, _change_type, _commit_version from table_changes('log', 0, 2, 'id')
