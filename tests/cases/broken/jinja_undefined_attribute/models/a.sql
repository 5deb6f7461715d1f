select {{ nothing.at.all }} as id
