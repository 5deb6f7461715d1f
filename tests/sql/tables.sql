create table orders as
select * from (values
    (1, 10, 'placed', 12.50::numeric(8,2), 2::smallint, timestamp '2024-01-31 10:00:00', date '2024-01-31'),
    (2, 10, 'shipped', 7.25::numeric(8,2), 3::smallint, timestamp '2024-02-29 23:59:59.5', date '2024-02-29'),
    (3, 20, 'placed', 100.00::numeric(8,2), 7::smallint, timestamp '2023-12-31 00:00:00', date '2023-12-31'),
    (4, 20, 'returned', null::numeric(8,2), 1::smallint, timestamp '2024-03-10 12:30:00', date '2024-03-10'),
    (5, 30, null, 55.55::numeric(8,2), 4::smallint, null::timestamp, null::date)
) as v(id, cust, status, amount, qty, ordered_at, ordered_on);

create table people as
select * from (values
    (10, 'Ada', 'Lovelace', true, date '1815-12-10', '{"city": "London", "tags": ["a", "b"], "n": {"x": 1.5}}'),
    (20, 'Grace', 'Hopper', false, date '1906-12-09', '{"city": null, "tags": []}'),
    (30, 'Edgar', null, null::boolean, null::date, null)
) as v(id, first_name, last_name, active, born, doc);

create table sale as
select * from (values
    (1, 1, 5.00::decimal(8,2), 0.75::decimal(8,2), 2::smallint, 36861, timestamp '2008-02-18 02:36:48'),
    (2, 1, 728.00::decimal(8,2), 109.20::decimal(8,2), 4::smallint, 21, timestamp '2008-06-06 05:00:16'),
    (3, 2, 76.00::decimal(8,2), 11.40::decimal(8,2), 3::smallint, 21, timestamp '2008-06-06 08:26:17')
) as v(saleid, eventid, pricepaid, commission, qtysold, buyerid, saletime);

create table event as
select * from (values (1, 9, 'Gotterdammerung'), (2, 6, 'Rigoletto'), (3, 7, 'Wicked')) as v(eventid, catid, eventname);

create table category as
select * from (values (9, 'Concerts', 'Pop'), (6, 'Shows', 'Musicals'), (7, 'Shows', 'Plays')) as v(catid, catgroup, catname);

create table likes as
select 3 as sports, 1 as jazz, null::int as opera, 'x' as label;
