select uper('x') as id
