select * from (values ('1'), ('abc')) v(word)
