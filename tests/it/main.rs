mod sql;

