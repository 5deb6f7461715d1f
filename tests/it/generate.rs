//! The sample data: its size, its keys, its shape, and that a seed fixes every byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use headwater::generate::{SEED, tickit};

/// A table's rows as fields, without the header.
fn rows(folder: &Path, name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join(format!("{name}/{name}.txt"))).expect("the table was written");
    text.lines().skip(1).map(|line| line.split('|').map(str::to_string).collect()).collect()
}

fn column(rows: &[Vec<String>], index: usize) -> BTreeSet<&str> {
    rows.iter().map(|row| row[index].as_str()).collect()
}

fn number(row: &[String], index: usize) -> f64 {
    row[index].parse().expect("the field is a number")
}

#[test]
fn tickit_has_the_documented_size_and_shape() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = tickit(folder.path(), 1, SEED).expect("the data is written");
    let sizes: Vec<(&str, u64)> = written.iter().map(|(file, rows)| (file.as_str(), *rows)).collect();
    let expected = [
        ("category/category.txt", 11),
        ("date/date.txt", 365),
        ("event/event.txt", 8_798),
        ("listing/listing.txt", 192_497),
        ("sale/sale.txt", 172_456),
        ("user/user.txt", 49_990),
        ("venue/venue.txt", 202),
    ];
    assert_eq!(sizes, expected);
    let leftovers: Vec<_> =
        std::fs::read_dir(folder.path()).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(leftovers.len(), expected.len(), "temporary folders stay behind: {leftovers:?}");
    for (file, count) in expected {
        let name = file.split('/').next().expect("a folder");
        let table = rows(folder.path(), name);
        assert_eq!(table.len() as u64, count, "{name}");
        assert_eq!(column(&table, 0).len() as u64, count, "{name} has a key twice");
        let width = table[0].len();
        assert!(table.iter().all(|row| row.len() == width), "{name} has rows of different width");
    }
    keys_hold(folder.path());
    sales_make_sense(folder.path());
    people_are_varied(folder.path());
}

fn keys_hold(folder: &Path) {
    let links = [
        ("event", 1, "venue"),
        ("event", 2, "category"),
        ("event", 3, "date"),
        ("listing", 1, "user"),
        ("listing", 2, "event"),
        ("listing", 3, "date"),
        ("sale", 1, "listing"),
        ("sale", 2, "user"),
        ("sale", 3, "user"),
        ("sale", 4, "event"),
        ("sale", 5, "date"),
    ];
    let tables: BTreeMap<&str, Vec<Vec<String>>> =
        ["event", "listing", "sale", "user", "venue", "category", "date"].map(|name| (name, rows(folder, name))).into();
    for (from, index, to) in links {
        let keys = column(&tables[to], 0);
        let strays: Vec<_> = column(&tables[from], index).into_iter().filter(|key| !keys.contains(key)).collect();
        assert!(strays.is_empty(), "{from} column {index} names rows that {to} lacks: {strays:?}");
    }
    assert_eq!(column(&tables["event"], 2).len(), 11, "a category has no events");
}

fn sales_make_sense(folder: &Path) {
    let listings: BTreeMap<String, Vec<String>> = rows(folder, "listing").into_iter().map(|row| (row[0].clone(), row)).collect();
    let starts: BTreeMap<String, String> =
        rows(folder, "event").into_iter().map(|row| (row[0].clone(), row[5].clone())).collect();
    let mut left: BTreeMap<String, f64> = listings.iter().map(|(id, row)| (id.clone(), number(row, 4))).collect();
    let mut tickets = 0.0;
    for sale in rows(folder, "sale") {
        let listing = &listings[&sale[1]];
        assert_eq!(sale[2], listing[1], "the seller of sale {} is not its listing's", sale[0]);
        assert_ne!(sale[2], sale[3], "sale {} is to its seller", sale[0]);
        assert!(listing[7] < sale[9] && sale[9] < starts[&sale[4]], "sale {} is out of its time", sale[0]);
        assert!((1.0..=8.0).contains(&number(&sale, 6)));
        assert!((number(&sale, 8) - 0.15 * number(&sale, 7)).abs() < 0.005, "the commission of sale {}", sale[0]);
        assert!((number(&sale, 7) - number(&sale, 6) * number(listing, 5)).abs() < 0.005, "the price of sale {}", sale[0]);
        *left.get_mut(&sale[1]).expect("the listing exists") -= number(&sale, 6);
        tickets += number(&sale, 6);
    }
    assert!(left.values().all(|left| *left >= 0.0), "a listing is oversold");
    assert!((330_000.0..360_000.0).contains(&tickets), "{tickets} tickets sold");
}

fn people_are_varied(folder: &Path) {
    let users = rows(folder, "user");
    assert_eq!(column(&users, 1).len(), users.len(), "two users have one name");
    let unknown = users.iter().flat_map(|row| &row[8..]).filter(|like| like.is_empty()).count();
    assert!(unknown > users.len() * 5, "likes are too often known");
    let sales = rows(folder, "sale");
    let buyers = column(&sales, 3).len();
    assert!((40_000..45_000).contains(&buyers), "{buyers} buyers");
}

#[test]
fn a_seed_fixes_every_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let draw = |name: &str, seed| {
        let out = folder.path().join(name);
        tickit(&out, 1, seed).expect("the data is written");
        std::fs::read(out.join("sale/sale.txt")).expect("the sales were written")
    };
    let first = draw("first", 7);
    assert!(first == draw("second", 7), "the same seed gave different sales");
    assert!(first != draw("third", 8), "another seed gave the same sales");
}

#[test]
fn nothing_cannot_be_drawn() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(tickit(folder.path(), 0, SEED).is_err());
}
