{{ config(uniqe_key='id', my_own='x', sort='id', dist='even') }}
select 1 as id
