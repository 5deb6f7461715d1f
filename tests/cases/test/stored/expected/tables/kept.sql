select id from main_kept.as_a_table union all select id from main_audit.no_kind
