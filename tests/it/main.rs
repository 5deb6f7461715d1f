mod jinja;
