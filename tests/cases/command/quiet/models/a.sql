{{ print('said by the model') if execute }}
select 1 as id
