{{ log('whispered') }}{{ print('printed') }}select 1 as id
