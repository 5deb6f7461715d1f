select {{ one(b=2) }} as id
