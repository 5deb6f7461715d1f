select {{ shared_macros.one() }} as id
