//! YAML as dbt reads it: the tables below are what PyYAML 6's `CSafeLoader` gives for the same texts.

use headwater::project::yaml::{YamlValue, parse};
use serde_json::Value as Json;

/// A scalar as it is written, and the kind and value that PyYAML resolves it to.
#[rustfmt::skip]
const SCALARS: &[(&str, &str)] = &[
    ("~", "null"), ("null", "null"), ("Null", "null"), ("NULL", "null"), ("nULL", "text:nULL"), ("yes", "bool:true"),
    ("Yes", "bool:true"), ("YES", "bool:true"), ("yEs", "text:yEs"), ("y", "text:y"), ("Y", "text:Y"), ("n", "text:n"),
    ("N", "text:N"), ("no", "bool:false"), ("No", "bool:false"), ("NO", "bool:false"), ("true", "bool:true"),
    ("True", "bool:true"), ("TRUE", "bool:true"), ("tRue", "text:tRue"), ("on", "bool:true"), ("On", "bool:true"),
    ("ON", "bool:true"), ("off", "bool:false"), ("Off", "bool:false"), ("OFF", "bool:false"), ("oFF", "text:oFF"),
    ("0", "int:0"), ("1", "int:1"), ("-1", "int:-1"), ("+1", "int:1"), ("00", "int:0"), ("01", "int:1"), ("07", "int:7"),
    ("08", "text:08"), ("0123", "int:83"), ("-0123", "int:-83"), ("0o17", "text:0o17"), ("0x1F", "int:31"),
    ("0xdead_beef", "int:3735928559"), ("-0x1f", "int:-31"), ("0xZ", "text:0xZ"), ("0b101", "int:5"), ("-0b11", "int:-3"),
    ("0b2", "text:0b2"), ("1_000", "int:1000"), ("1__0", "int:10"), ("_1", "text:_1"), ("1_", "int:1"), ("1e5", "text:1e5"),
    ("1E5", "text:1E5"), ("1.5e5", "text:1.5e5"), ("1.5e+5", "float:150000.0"), ("1.5E-3", "float:0.0015"), ("1.", "float:1.0"),
    (".5", "float:0.5"), ("-.5", "text:-.5"), ("+.5", "text:+.5"), ("-1.5", "float:-1.5"), ("1_0.5_0", "float:10.5"),
    ("1.2.3", "text:1.2.3"), (".inf", "float:inf"), ("-.inf", "float:-inf"), ("+.Inf", "float:inf"), (".INF", "float:inf"),
    (".iNF", "text:.iNF"), (".nan", "float:nan"), (".NaN", "float:nan"), (".NAN", "float:nan"), ("-.nan", "text:-.nan"),
    ("1:30", "int:90"), ("1:60", "text:1:60"), ("12:30:45", "int:45045"), ("-1:30", "int:-90"), ("01:30", "text:01:30"),
    ("1:30.5", "float:90.5"), ("1:3", "int:63"), ("0:30", "text:0:30"), ("0:30.5", "float:30.5"), ("190:20:30", "int:685230"),
    ("2020-01-01", "date"), ("2020-1-1", "text:2020-1-1"), ("2020-01-01 10:00:00", "date"), ("2020-01-01T10:00:00Z", "date"),
    ("1.0.0", "text:1.0.0"), ("v1", "text:v1"), ("10%", "text:10%"), ("1,000", "text:1,000"), ("+", "text:+"), (".", "text:."),
    ("..", "text:.."), ("0.0", "float:0.0"), ("-0", "int:0"), ("-0.0", "float:-0.0"),
    ("9223372036854775807", "int:9223372036854775807"), ("-9223372036854775808", "int:-9223372036854775808"),
    ("123456789012", "int:123456789012"), ("0777", "int:511"), ("0_7", "int:7"), ("0_", "int:0"), ("00.5", "float:0.5"),
    ("1.e+3", "float:1000.0"), (".e+3", "text:.e+3"), (".5e+3", "float:500.0"), ("1.5e", "text:1.5e"), ("1.5e+", "text:1.5e+"),
    ("nan", "text:nan"), ("inf", "text:inf"), ("NaN", "text:NaN"), ("None", "text:None"), ("none", "text:none"),
    ("abc", "text:abc"), ("a b", "text:a b"), ("1 2", "text:1 2"), ("1-2", "text:1-2"), ("12abc", "text:12abc"),
    ("+1.5", "float:1.5"), ("+0x1", "int:1"), ("1._5", "float:1.5"), ("._5", "text:._5"), ("-1_000", "int:-1000"),
    ("+.inf", "float:inf"), ("1:2:3.25", "float:3723.25"), ("100_", "int:100"), ("0.1", "float:0.1"),
    ("3.14159", "float:3.14159"), ("1e-5", "text:1e-5"), ("1.0e-5", "float:1e-05"), ("6.02e+23", "float:6.02e+23"),
    ("0x", "text:0x"), ("0b", "text:0b"), ("!!str 12", "text:12"), ("!!int \"12\"", "int:12"), ("!!float 3", "float:3.0"),
    ("!!str", "text:"), ("\"12\"", "text:12"), ("'yes'", "text:yes"), ("\"~\"", "text:~"), ("! 12", "int:12"),
];

/// Name, document, and its value as JSON.
#[rustfmt::skip]
const DOCUMENTS: &[(&str, &str, &str)] = &[
    ("empty", "", r#"null"#),
    ("comment only", "# nothing\n", r#"null"#),
    ("block list in mapping", "models:\n- name: a\n  columns:\n  - name: b\n    tests: [unique, not_null]\n", r#"{"models": [{"name": "a", "columns": [{"name": "b", "tests": ["unique", "not_null"]}]}]}"#),
    ("anchor and alias", "a: &x {p: 1, q: [1, 2]}\nb: *x\nc: [*x, *x]\n", r#"{"a": {"p": 1, "q": [1, 2]}, "b": {"p": 1, "q": [1, 2]}, "c": [{"p": 1, "q": [1, 2]}, {"p": 1, "q": [1, 2]}]}"#),
    ("scalar anchor", "a: &n 5\nb: *n\n", r#"{"a": 5, "b": 5}"#),
    ("merge", "base: &b {p: 1, q: 2}\nx:\n  q: 3\n  <<: *b\n  r: 4\n", r#"{"base": {"p": 1, "q": 2}, "x": {"p": 1, "q": 3, "r": 4}}"#),
    ("merge list, the first wins", "a: &a {p: 1}\nb: &b {p: 2, q: 3}\nx: {<<: [*a, *b], r: 0}\n", r#"{"a": {"p": 1}, "b": {"p": 2, "q": 3}, "x": {"p": 1, "q": 3, "r": 0}}"#),
    ("quoted merge key", "a: {\"<<\": 1}\n", r#"{"a": {"<<": 1}}"#),
    ("literal", "a: |\n  one\n   two\n\n  three\n\nb: 1\n", r#"{"a": "one\n two\n\nthree\n", "b": 1}"#),
    ("literal strip", "a: |-\n  one\n  two\n\n", r#"{"a": "one\ntwo"}"#),
    ("literal keep", "a: |+\n  one\n\nb: 2\n", r#"{"a": "one\n\n", "b": 2}"#),
    ("literal indent", "a: |2\n    one\n   two\n", r#"{"a": "  one\n two\n"}"#),
    ("folded", "a: >\n  one\n  two\n\n  three\n    four\n  five\n", r#"{"a": "one two\nthree\n  four\nfive\n"}"#),
    ("folded strip", "a: >-\n  one\n  two\n", r#"{"a": "one two"}"#),
    ("plain lines", "a: one\n  two\n\n  three\nb: 1\n", r#"{"a": "one two\nthree", "b": 1}"#),
    ("double quoted lines", "a: \"one\n  two\\n\n\n  three \\\n  four\"\n", r#"{"a": "one two\n\nthree four"}"#),
    ("single quoted", "a: 'it''s\n  two'\n", r#"{"a": "it's two"}"#),
    ("escapes", "a: \"\\t\\x41\\u00e9\\U0001F600\\\\ \\\" \\/\"\n", r#"{"a": "\tAé😀\\ \" /"}"#),
    ("flow over lines", "a: {b: 1,\n  c: [1,\n 2, ],\n  }\n", r#"{"a": {"b": 1, "c": [1, 2]}}"#),
    ("flow json", "{\"a\":1,\"b\":[true,null]}", r#"{"a": 1, "b": [true, null]}"#),
    ("comments", "a: 1 # one\n# two\nb: 'x#y' # three\nc: x#y\n", r#"{"a": 1, "b": "x#y", "c": "x#y"}"#),
    ("windows line ends", "a: |\r\n  one\r\n  two\r\nb: 1\r\nc: x\r\n  y\r\n", r#"{"a": "one\ntwo\n", "b": 1, "c": "x y"}"#),
    ("byte order mark", "\u{feff}a: 1\n", r#"{"a": 1}"#),
    ("document marks", "---\na: 1\n...\n", r#"{"a": 1}"#),
    ("empty values", "a:\nb:\n  - \n  -\nc: {d: , e}\n", r#"{"a": null, "b": [null, null], "c": {"d": null, "e": null}}"#),
    ("duplicate key", "a: 1\nb: 2\na: 3\n", r#"{"a": 3, "b": 2}"#),
    ("jinja in quotes", "a: \"{{ var('x') }}\"\nb: \"{% if x %}y{% endif %}\"\n", r#"{"a": "{{ var('x') }}", "b": "{% if x %}y{% endif %}"}"#),
    ("jinja later in text", "a: x {{ y }} z\n", r#"{"a": "x {{ y }} z"}"#),
    ("colon in text", "a: http://x.y:80/z\nb: 10:x\n", r#"{"a": "http://x.y:80/z", "b": "10:x"}"#),
    ("question key", "? a\n: b\n", r#"{"a": "b"}"#),
    ("tab after value", "a: 1\t# c\nb:\t2\n", r#"{"a": 1, "b": 2}"#),
    ("dash text", "a: -x\n", r#"{"a": "-x"}"#),
    ("date", "a: 2020-01-01\nb: 2020-01-01 10:00:00\n", r#"{"a": "2020-01-01", "b": "2020-01-01 10:00:00"}"#),
    ("unicode", "é: ü\n", r#"{"é": "ü"}"#),
    ("tags", "a: !!str 1\nb: !!map {c: 1}\nd: !!seq [1]\ne: !!float 2\n", r#"{"a": "1", "b": {"c": 1}, "d": [1], "e": 2.0}"#),
    ("trailing spaces", "a: x   \nb:   y\n", r#"{"a": "x", "b": "y"}"#),
    ("star text", "a: x*y&z\n", r#"{"a": "x*y&z"}"#),
    ("deeper dash", "a:\n    -   b: 1\n        c: 2\n    -   d\n", r#"{"a": [{"b": 1, "c": 2}, "d"]}"#),
    ("nested lists", "- - a\n  - b\n-\n  - c\n", r#"[["a", "b"], ["c"]]"#),
    ("block in list", "- |\n  a\n  b\n- >\n  c\n", r#"["a\nb\n", "c\n"]"#),
    ("percent", "a: 100%\nb: \"%x\"\n", r#"{"a": "100%", "b": "%x"}"#),
    ("closing bracket below its key", "a:\n  b: [\n    1,\n    'x',\n  ]\n  c: {\n  d: 1\n}\ne: 2\n", r#"{"a": {"b": [1, "x"], "c": {"d": 1}}, "e": 2}"#),
    ("quoted text out of its indentation", "a:\n  - b: \"one\n two\nthree \\\" [\n\n  four\"\n    c: 'x\ny'\n  - d\n", r#"{"a": [{"b": "one two three \" [\nfour", "c": "x y"}, "d"]}"#),
    ("brackets and quotes in texts", "a:\n  b: it's [x\n    \"y\n  c: |\n    [ \"\n  d: [it's, \"a]\", # ]\n  'b''c]'\n  ]\n  e:\n    don't {\n    'x\n  f: [\n  ]\n", r#"{"a": {"b": "it's [x \"y", "c": "[ \"\n", "d": ["it's", "a]", "b'c]"], "e": "don't { 'x", "f": []}}"#),
    ("tab and flow", "a:\tx\nb:\t[1,\n2]\n\"c\":\t'y'\nd:\n- e:\tz\n", r#"{"a": "x", "b": [1, 2], "c": "y", "d": [{"e": "z"}]}"#),
    ("block text to the end of the file", "a: |\n  b\n  c", r#"{"a": "b\nc"}"#),
    ("folded text to the end of the file", "a:\n  - >\n    b\n    c", r#"{"a": ["b c"]}"#),
    ("kept text to the end of the file", "a: |+\n  b", r#"{"a": "b"}"#),
    ("backslash in single", "a: 'c:\\n'\n", r#"{"a": "c:\\n"}"#),
    ("keys that are no text", "7: a\nno: b\nnull: c\n1.5: d\n", r#"{"7": "a", "false": "b", "null": "c", "1.5": "d"}"#),
];

/// What is no YAML, or not what PyYAML's safe loader takes: the code, the place, and a word of the help.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("a: {{ var('x') }}\n", "yaml-key", "f.yml:1:5", "quotes"),
    ("a:\n\tb: 1\n", "yaml-syntax", "f.yml:2:", "spaces"),
    ("a: b: c\n", "yaml-syntax", "f.yml:1:5", "quotes"),
    ("a: [1, 2\nb: 3\n", "yaml-syntax", "f.yml:2:2", ""),
    ("a: 'x\n", "yaml-syntax", "f.yml:", ""),
    ("a: 1\n---\nb: 2\n", "yaml-syntax", "f.yml:2:1", "---"),
    ("a: *nowhere\n", "yaml-syntax", "f.yml:1:", ""),
    ("a: &x [1, *x]\n", "yaml-alias", "f.yml:1:11", ""),
    ("a: !mine 1\n", "yaml-tag", "f.yml:1:", "quotes"),
    ("a: !!int x\n", "yaml-tag", "f.yml:1:", ""),
    ("<<: 1\n", "yaml-merge", "f.yml:1:5", ""),
    ("a: 1\nb: x\u{0}y\n", "yaml-syntax", "f.yml:2:5", ""),
];

fn shown(value: &YamlValue) -> String {
    match value {
        YamlValue::Null => "null".to_string(),
        YamlValue::Boolean(value) => format!("bool:{value}"),
        YamlValue::Integer(value) => format!("int:{value}"),
        YamlValue::Float(value) => format!("float:{value:?}").to_lowercase(),
        YamlValue::Text(text) => format!("text:{text}"),
        other => panic!("{other:?} is no scalar"),
    }
}

/// Python spells large and small floats otherwise than Rust; the numbers are what matters.
fn agree(ours: &str, pyyaml: &str) -> bool {
    let float = |text: &str| text.strip_prefix("float:").and_then(|text| text.parse::<f64>().ok());
    match (float(ours), float(pyyaml)) {
        (Some(ours), Some(pyyaml)) => ours.to_bits() == pyyaml.to_bits() || (ours.is_nan() && pyyaml.is_nan()),
        _ => ours == pyyaml,
    }
}

#[test]
fn scalars_resolve_as_in_pyyaml() {
    for (written, expected) in SCALARS {
        let (root, _) = parse(&format!("k: {written}"), "f.yml").unwrap_or_else(|error| panic!("{written}: {error}"));
        let value = shown(&root.get("k").expect("the key is there").value);
        let expected = if *expected == "date" { format!("text:{written}") } else { expected.to_string() };
        assert!(agree(&value, &expected), "`{written}` is {value}, PyYAML has {expected}");
    }
}

#[test]
fn integers_beyond_64_bits_keep_their_digits_as_text() {
    let (root, _) = parse("k: 123456789012345678901234567890", "f.yml").expect("valid YAML");
    assert_eq!(root.get("k").and_then(|value| value.as_str()), Some("123456789012345678901234567890"));
}

#[test]
fn documents_compose_as_in_pyyaml() {
    for (name, text, expected) in DOCUMENTS {
        let (root, _) = parse(text, "f.yml").unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: Json = serde_json::from_str(expected).expect("the table holds JSON");
        assert_eq!(root.to_json().to_string(), expected.to_string(), "{name}");
    }
}

#[test]
fn mistakes_have_a_place_and_help() {
    for (text, code, place, help) in MISTAKES {
        let error = parse(text, "f.yml").expect_err(text);
        assert_eq!(error.code, *code, "{text:?}: {error}");
        assert!(error.to_string().starts_with(place), "{text:?}: {error}");
        assert!(error.help.join(" ").contains(help), "{text:?}: {:?}", error.help);
    }
}

#[test]
fn every_value_and_key_knows_its_place() {
    let (root, _) = parse("\u{feff}a: 1\r\nb:\r\n  - é: 2\r\n    cd: |\r\n      x\r\n", "f.yml").expect("valid YAML");
    let item = &root.get("b").and_then(|b| b.as_sequence()).expect("a list")[0];
    let places = [
        (root.key_location("a"), "f.yml:1:1"),
        (root.get("a").map(|value| &value.location), "f.yml:1:4"),
        (Some(&item.location), "f.yml:3:5"),
        (item.get("é").map(|value| &value.location), "f.yml:3:8"),
        (item.key_location("cd"), "f.yml:4:5"),
        (item.get("cd").map(|value| &value.location), "f.yml:5:7"),
    ];
    for (place, expected) in places {
        assert_eq!(place.map(ToString::to_string).as_deref(), Some(expected));
    }
}

#[test]
fn places_in_rewritten_yaml_1_1_are_those_of_the_file() {
    let (root, _) = parse("a:\n    b: [\n  c,\n]\n    d: e\n", "f.yml").expect("libyaml reads it");
    let b = root.get("a").and_then(|a| a.get("b")).and_then(|b| b.as_sequence()).expect("a list");
    assert_eq!(b[0].location.to_string(), "f.yml:3:3");
    let error = parse("a:\n    b: [\n  c,\n]\n  d: e\n", "f.yml").expect_err("d is on no level");
    assert!(error.code == "yaml-syntax" && error.to_string().starts_with("f.yml:5:3"), "{error}");
}

#[test]
fn duplicate_keys_warn_and_the_last_counts() {
    let (root, warnings) = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n", "f.yml").expect("valid YAML");
    assert_eq!(root.to_json().to_string(), r#"{"a":3,"b":{"c":2}}"#);
    let shown: Vec<_> = warnings.iter().map(|warning| (warning.code, warning.to_string(), warning.help.join(" "))).collect();
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0].0, "duplicate-yaml-key");
    assert!(shown[0].1.starts_with("f.yml:2:11: the key `c`"), "{shown:?}");
    assert!(shown[1].1.starts_with("f.yml:3:1: the key `a`") && shown[1].2.contains("line 1"), "{shown:?}");
}

#[test]
fn keys_given_over_a_merge_do_not_warn() {
    let (_, warnings) = parse("a: &a {b: 1}\nc:\n  b: 2\n  <<: *a\n", "f.yml").expect("valid YAML");
    assert_eq!(warnings, []);
}

#[test]
fn documents_made_to_explode_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert_eq!(parse(&text, "f.yml").expect_err("billion laughs").code, "yaml-too-large");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(parse(&deep, "f.yml").expect_err("too deep").code, "yaml-too-deep");
    let blocks: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(parse(&blocks, "f.yml").expect_err("too deep").code, "yaml-too-deep");
}

/// Twice the text takes about twice the time; a quadratic reader would need sixteen times as long for the largest.
#[test]
fn reading_time_is_linear_in_the_text() {
    let entry = "  - name: orders\n    description: \"One row an order\"\n    columns:\n      - name: id\n        data_tests: [unique, not_null]\n";
    let text = |entries: usize| format!("models:\n{}", entry.repeat(entries));
    let time = |text: &str| {
        let run = || {
            let start = std::time::Instant::now();
            parse(text, "f.yml").expect("valid YAML");
            start.elapsed().as_secs_f64()
        };
        (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
    };
    let (small, large) = (time(&text(250)), time(&text(4000)));
    assert!(large < small * 64.0, "16 times the text took {:.1} times as long", large / small);
}
