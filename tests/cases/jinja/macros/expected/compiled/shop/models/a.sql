select
    'HI!' as a,
    'HI?' as b,
    (1 + 1) as c,
    'x' as x, 'y' as y,
    6 as total,
    'default' as dialect,
    'a-b' as joined,
    '003.1' as formatted,
    3 as n,
    '{"k": [1, true, null]}' as json,
    7 as v,
    'title_case' as lowered
