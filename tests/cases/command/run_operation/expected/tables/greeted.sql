select name from greeted
