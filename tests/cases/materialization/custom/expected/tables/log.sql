select what from main.log
