select node, full_refresh, unknown, given from seen
