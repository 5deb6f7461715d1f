select {{ ping() }} as id
