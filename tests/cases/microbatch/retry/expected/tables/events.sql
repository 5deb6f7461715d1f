select id from main.events
