//! The lake and the embedded engine, through the adapter: real folders, real files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headwater::adapter::{Adapter, AdapterError, ExternalTable, IncrementalWrite, Operation, TableOptions, Target, connect};
use headwater::lake::{Lake, Storage, TableName};
use headwater::name::{Relation, RelationType};
use headwater::rows::{Cell, ColumnType};
use serde_json::json;

/// A project folder and an engine on its warehouse.
struct Place {
    folder: tempfile::TempDir,
    adapter: Arc<dyn Adapter>,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let adapter = open(folder.path()).await;
        Self { folder, adapter }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        std::fs::write(&path, content).expect("file");
        path
    }

    async fn run(&self, sql: &str) {
        if let Err(error) = self.adapter.execute(sql).await {
            panic!("{sql}\n{}: {}", error.code, error.message);
        }
    }

    /// A query's rows as text, cells joined by `|`, rows by newline.
    async fn rows(&self, sql: &str) -> String {
        match self.adapter.query(sql, None).await {
            Ok(rows) => {
                rows.rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join("|")).collect::<Vec<_>>().join("\n")
            }
            Err(error) => panic!("{sql}\n{}: {}", error.code, error.message),
        }
    }

    async fn error(&self, sql: &str) -> AdapterError {
        match self.adapter.execute(sql).await {
            Ok(rows) => panic!("{sql}\nexpected an error, got {rows:?}"),
            Err(error) => error,
        }
    }

    async fn apply(&self, operation: Operation) -> String {
        match self.adapter.apply(operation).await {
            Ok(effect) => effect.message,
            Err(error) => panic!("{}: {}", error.code, error.message),
        }
    }

    async fn stage(&self, name: &str, external: serde_json::Value, columns: &[(&str, &str)]) -> Result<String, AdapterError> {
        let columns = columns.iter().map(|(name, data_type)| ColumnType { name: (*name).into(), data_type: (*data_type).into() });
        let table = ExternalTable {
            relation: relation(name),
            external: external.as_object().expect("an object").clone(),
            columns: columns.collect(),
            base: self.folder.path().to_path_buf(),
        };
        self.adapter.stage_external(&table).await
    }
}

fn shown(cell: &Cell) -> String {
    if *cell == Cell::Null { "∅".into() } else { cell.display() }
}

async fn open(folder: &Path) -> Arc<dyn Adapter> {
    let settings = json!({"path": "lake", "settings": {"execution.target_partitions": 2}});
    let settings = settings.as_object().expect("an object");
    let opened = connect("datafusion", &Target { database: "dev", schema: "main", threads: 4, settings, base: folder }).await;
    opened.unwrap_or_else(|error| panic!("{}", error.message))
}

fn relation(name: &str) -> Relation {
    Relation::new(Some("dev"), Some("main"), name)
}

fn table_as(name: &str, sql: &str) -> Operation {
    Operation::CreateTableAs { relation: relation(name), sql: sql.into(), options: TableOptions::default() }
}

fn view_as(name: &str, sql: &str) -> Operation {
    Operation::CreateView { relation: relation(name), sql: sql.into(), description: None }
}

fn write(name: &str, sql: &str, write: IncrementalWrite) -> Operation {
    Operation::Write { relation: relation(name), sql: sql.into(), write }
}

fn multi<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

#[test]
fn tables_views_and_what_replaces_them() {
    multi(async {
        let place = Place::new().await;
        assert_eq!(place.apply(table_as("a", "select 1 as id, 'x' as name union all select 2, 'y'")).await, "SELECT 2");
        assert_eq!(place.apply(view_as("v", "select id * 10 as ten from a")).await, "CREATE VIEW");
        place.apply(view_as("w", "select sum(ten) as s from main.v")).await;
        assert_eq!(place.rows("select s from dev.main.w").await, "30");
        // The parent is replaced, with other columns beside: views stand on its name.
        place.apply(table_as("a", "select 7 as id, true as flag")).await;
        assert_eq!(place.rows("select * from w").await, "70");
        // A table where a view was, a view where a table was.
        place.apply(table_as("v", "select 5 as ten")).await;
        assert_eq!(place.adapter.relation_type(&relation("v")).await.expect("type"), Some(RelationType::Table));
        assert_eq!(place.rows("select * from w").await, "5");
        place.apply(view_as("a", "select 1 as id")).await;
        assert_eq!(place.adapter.relation_type(&relation("a")).await.expect("type"), Some(RelationType::View));
        // A dropped parent is an error when asked for, with its name.
        place.apply(Operation::Drop { relation: relation("v"), relation_type: None }).await;
        let error = place.adapter.query("select * from w", None).await.expect_err("no parent");
        assert!(error.message.contains("view \"main\".\"w\""), "{}", error.message);
        place.apply(Operation::Drop { relation: relation("a"), relation_type: None }).await;
        assert_eq!(place.adapter.relation_type(&relation("a")).await.expect("type"), None, "the old table must not come back");
        assert!(place.error("create view r as select * from r").await.message.contains("\"r\""));
    });
}

#[test]
fn a_missing_relation_has_a_code_and_the_nearest_name() {
    multi(async {
        let place = Place::new().await;
        place.apply(table_as("customers", "select 1 as id")).await;
        let error = place.error("select * from custmers").await;
        assert_eq!(error.code, "relation-missing");
        assert_eq!(error.help.as_deref(), Some("did you mean \"main\".\"customers\"?"));
        let (settings, base) = (serde_json::Map::new(), place.folder.path());
        let target = Target { database: "d", schema: "s", threads: 1, settings: &settings, base };
        let error = connect("datafuson", &target).await.err().expect("unknown engine");
        assert_eq!(error.code, "adapter-unknown");
        assert!(error.help.expect("help").contains("did you mean `datafusion`?"));
    });
}

#[test]
fn types_that_delta_does_not_hold_become_the_nearest() {
    multi(async {
        let place = Place::new().await;
        let sql = "select null as nothing, row_number() over () as rn, arrow_cast(1, 'UInt8') as small,
            cast('2024-02-29 10:20:30.123456' as timestamp) as at, timestamp '2024-01-01T00:00:00Z' at time zone 'UTC' as zoned,
            date '2024-02-29' as day, cast(12.5 as decimal(10,2)) as price, interval '1 day' as span, arrow_cast('d', 'Dictionary(Int32, Utf8)') as dict,
            make_array(1,2) as list, arrow_cast('x', 'LargeUtf8') as large, 1.5 as f, time '10:00:00' as t, arrow_cast(2.25, 'Float32') as real";
        place.apply(table_as("types", sql)).await;
        let columns = place.adapter.columns(&relation("types")).await.expect("columns");
        let types: Vec<String> = columns.iter().map(|column| format!("{}={}", column.name, column.data_type)).collect();
        for expected in [
            "nothing=character varying",
            "rn=bigint",
            "small=smallint",
            "at=timestamp without time zone",
            "day=date",
            "price=numeric(10,2)",
            "real=real",
        ] {
            assert!(types.iter().any(|found| found == expected), "{expected} in {types:?}");
        }
        assert_eq!(
            place.rows("select nothing, rn, small, at, day, price, dict, large from types").await,
            "∅|1|1|2024-02-29 10:20:30.123456|2024-02-29|12.50|d|x"
        );
        // No rows: a table all the same.
        assert_eq!(place.apply(table_as("empty", "select 1 as id, 'a' as b where false")).await, "SELECT 0");
        assert_eq!(place.adapter.columns(&relation("empty")).await.expect("columns").len(), 2);
        assert_eq!(place.rows("select count(*) from empty").await, "0");
        let error = place.adapter.apply(table_as("twice", "select 1 as a, 2 as \"A\"")).await.expect_err("two columns");
        assert_eq!(error.code, "column-duplicate");
    });
}

#[test]
fn names_cannot_leave_the_root_or_meet() {
    multi(async {
        let place = Place::new().await;
        place.write("canary.txt", "here");
        let names = ["../x", "..", "a/b", "a b", "Ümläut", "x.y", "_delta_log", "sp\"q", "_headwater", "%2e%2e", "A", "a"];
        for (number, name) in names.iter().enumerate() {
            for schema in ["main", "../..", "_headwater"] {
                let relation = Relation::new(Some("dev"), Some(schema), name);
                let sql = format!("select {number} as n, '{}' as s", schema.replace('\'', "''"));
                place.apply(Operation::CreateTableAs { relation, sql, options: TableOptions::default() }).await;
            }
        }
        for (number, name) in names.iter().enumerate() {
            for schema in ["main", "../..", "_headwater"] {
                let relation = Relation::new(Some("dev"), Some(schema), name);
                assert_eq!(place.rows(&format!("select n, s from {}", relation.render())).await, format!("{number}|{schema}"));
            }
        }
        let mut listed: Vec<String> =
            place.adapter.list_relations("main").await.expect("list").into_iter().map(|(r, _)| r.identifier).collect();
        listed.sort();
        let mut expected: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
        expected.sort();
        assert_eq!(listed, expected);
        assert_eq!(place.adapter.list_schemas().await.expect("schemas"), ["../..", "_headwater", "main"]);
        let beside: Vec<_> =
            std::fs::read_dir(place.folder.path()).expect("folder").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(beside.len(), 2, "only the lake and the canary: {beside:?}");
        let parent: Vec<_> =
            std::fs::read_dir(place.folder.path().join("lake")).expect("lake").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(parent.len(), 3, "three schemas: {parent:?}");
    });
}

#[test]
fn readers_see_old_or_new_while_two_processes_replace() {
    multi(async {
        let place = Place::new().await;
        let (first, second) = (open(place.folder.path()).await, open(place.folder.path()).await);
        place.apply(table_as("t", "select 0 as writer, n from generate_series(1, 100) as g(n)")).await;
        place.apply(view_as("v", "select * from t")).await;
        let writer = |adapter: Arc<dyn Adapter>, id: u32| {
            tokio::spawn(async move {
                for round in 0..8 {
                    let sql = format!("select {id} as writer, n from generate_series(1, 100) as g(n)");
                    // Half of the time the name is a view in between.
                    if round % 3 == 2 {
                        adapter.apply(view_as("t", &sql)).await.map_err(|e| e.message).expect("view");
                    } else {
                        adapter.apply(table_as("t", &sql)).await.map_err(|e| e.message).expect("table");
                    }
                    adapter
                        .apply(table_as(&format!("own_{id}_{round}"), "select 1 as x"))
                        .await
                        .map_err(|e| e.message)
                        .expect("own");
                }
            })
        };
        let (one, two) = (writer(first, 1), writer(second, 2));
        let mut reads = 0;
        while !(one.is_finished() && two.is_finished()) || reads < 5 {
            for name in ["t", "v"] {
                let sql = format!("select count(*) as c, count(distinct writer) as w, sum(n) as s from {name}");
                assert_eq!(place.rows(&sql).await, "100|1|5050");
            }
            reads += 1;
        }
        one.await.expect("first writer");
        two.await.expect("second writer");
        assert_eq!(place.adapter.list_relations("main").await.expect("list").len(), 18);
    });
}

#[test]
fn concurrent_appends_lose_nothing() {
    multi(async {
        let place = Place::new().await;
        place.apply(table_as("log", "select 0 as id where false")).await;
        let mut tasks = Vec::new();
        for process in 0..3 {
            let adapter = open(place.folder.path()).await;
            tasks.push(tokio::spawn(async move {
                for round in 0..5 {
                    let sql = format!("select cast({} as integer) as id", process * 100 + round);
                    adapter.apply(write("log", &sql, IncrementalWrite::Append)).await.map_err(|e| e.message).expect("append");
                }
            }));
        }
        for task in tasks {
            task.await.expect("writer");
        }
        assert_eq!(place.rows("select count(*), count(distinct id) from log").await, "15|15");
    });
}

#[test]
fn incremental_writes() {
    multi(async {
        let place = Place::new().await;
        let keys = vec!["id".to_string()];
        let start = "select 1 as id, 'a' as name, 10 as n union all select 2, 'b', 20 union all select null, 'z', 0";
        let new = "select 30 as n, 2 as id, 'B' as name, 'extra' as more union all select 40, 3, 'c', '' union all select 50, null, 'y', ''";
        place.apply(table_as("m", start)).await;
        let merge = IncrementalWrite::Merge { keys: keys.clone(), update_columns: None, predicates: vec![] };
        assert_eq!(place.apply(write("m", new, merge.clone())).await, "MERGE 3");
        assert_eq!(place.rows("select * from m order by id, n").await, "1|a|10\n2|B|30\n3|c|40\n∅|z|0\n∅|y|50");
        let columns = IncrementalWrite::Merge { keys: keys.clone(), update_columns: Some(vec!["n".into()]), predicates: vec![] };
        place.apply(write("m", "select 1 as id, 'never' as name, 11 as n", columns)).await;
        let unless = vec!["DBT_INTERNAL_DEST.n < 35".to_string()];
        let guarded = IncrementalWrite::Merge { keys: keys.clone(), update_columns: None, predicates: unless };
        place.apply(write("m", "select 2 as id, 'again' as name, 31 as n", guarded)).await;
        assert_eq!(place.rows("select * from m where id < 3 order by id").await, "1|a|11\n2|again|31");
        let error =
            place.adapter.apply(write("m", "select 1 as id, 'p' as name, 1 as n union all select 1, 'q', 2", merge)).await;
        let error = error.expect_err("two rows for one");
        assert_eq!((error.code, error.message.contains("id = 1")), ("merge-duplicate", true), "{}", error.message);

        place.apply(table_as("d", start)).await;
        let replace = IncrementalWrite::DeleteInsert { keys: keys.clone(), predicates: vec![] };
        assert_eq!(
            place.apply(write("d", "select 2 as id, 'x' as name, 1 as n union all select 2, 'y', 2", replace)).await,
            "INSERT 2"
        );
        assert_eq!(place.rows("select * from d order by id, n").await, "1|a|10\n2|x|1\n2|y|2\n∅|z|0");
        let within = IncrementalWrite::DeleteInsert { keys, predicates: vec!["n = 1".into()] };
        place.apply(write("d", "select 2 as id, 'w' as name, 9 as n", within)).await;
        assert_eq!(place.rows("select name from d where id = 2 order by name").await, "w\ny");
        let error = place.adapter.apply(write("d", "select 2 as id", IncrementalWrite::Append)).await.expect_err("columns");
        assert_eq!(error.code, "column-missing");
        place.apply(write("d", "select 9 as id, 'app' as name, 0 as n", IncrementalWrite::Append)).await;
        place
            .apply(Operation::AddColumns {
                relation: relation("d"),
                columns: vec![ColumnType { name: "extra".into(), data_type: "date".into() }],
            })
            .await;
        assert_eq!(place.rows("select extra, count(*) from d group by 1").await, "∅|5");
        place.apply(Operation::DropColumns { relation: relation("d"), columns: vec!["name".into()] }).await;
        let names: Vec<String> =
            place.adapter.columns(&relation("d")).await.expect("columns").into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["id", "n", "extra"]);
    });
}

#[test]
fn statements() {
    multi(async {
        let place = Place::new().await;
        place
            .run("create schema if not exists other; create table other.t (id integer, name varchar(20), price numeric(10,2))")
            .await;
        place
            .run("insert into other.t values (1, 'a', 1.5), (2, 'b', 2.25); insert into other.t (name, id) values ('c', 3)")
            .await;
        assert_eq!(place.rows("select * from other.t order by id").await, "1|a|1.50\n2|b|2.25\n3|c|∅");
        let updated = place.adapter.execute("update other.t set price = price * 2, name = upper(name) where id in (select s.id from (select 2 as id union select 9) as s)").await;
        assert_eq!(updated.expect("update").rows_affected, Some(1));
        place.run("create table u as select 1 as id, 'from u' as name union all select 1, 'from u'").await;
        place.run("update other.t as x set name = u.name from u where x.id = u.id").await;
        assert_eq!(place.rows("select * from other.t order by id").await, "1|from u|1.50\n2|B|4.50\n3|c|∅");
        assert_eq!(
            place.adapter.execute("delete from other.t where price is null").await.expect("delete").rows_affected,
            Some(1)
        );
        place.run("delete from other.t using u where t.id = u.id").await;
        assert_eq!(place.rows("select id from other.t").await, "2");
        place
            .run(
                "merge into other.t as t using (select 2 as k, 'm' as n union all select 5, 'new') as s on t.id = s.k
             when matched then update set name = s.n when not matched then insert (id, name) values (s.k, s.n)",
            )
            .await;
        assert_eq!(place.rows("select * from other.t order by id").await, "2|m|4.50\n5|new|∅");
        place.run("merge into other.t as t using (select 5 as k) as s on t.id = s.k when matched then delete").await;
        assert_eq!(place.rows("select count(*) from other.t").await, "1");
        place.run("alter table other.t add column note text; alter table other.t rename column name to label; alter table other.t rename to t2").await;
        assert_eq!(place.rows("select label, note from other.t2").await, "m|∅");
        place.run("create table nulls as select 1 as k union all select 2 union all select null").await;
        place.run("delete from nulls where k not in (select s.k from (select 1 as k) as s)").await;
        assert_eq!(place.rows("select k from nulls order by k").await, "1\n∅");
        place.run("delete from nulls where exists (select 1 from u where u.id = nulls.k) and k > 0").await;
        assert_eq!(place.rows("select k from nulls").await, "∅");
        place.run("truncate table other.t2").await;
        assert_eq!(place.rows("select count(*) from other.t2").await, "0");
        place.run("create or replace view other.v (renamed) as select id from other.t2; grant select on other.v to public").await;
        assert_eq!(
            place
                .rows("select table_name, table_type from information_schema.tables where table_schema = 'other' order by 1")
                .await,
            "t2|BASE TABLE\nv|VIEW"
        );
        let columns =
            "select column_name, ordinal_position, data_type from information_schema.columns where table_name = 't2' order by 2";
        assert_eq!(
            place.rows(columns).await,
            "id|1|integer\nlabel|2|character varying\nprice|3|numeric(10,2)\nnote|4|character varying"
        );
        for (sql, code) in [
            ("drop view other.t2", "relation-kind"),
            ("drop table missing", "relation-missing"),
            ("create table u as select 1 as x", "relation-exists"),
            ("insert into other.v values (1)", "not-a-table"),
            ("drop schema other", "schema-in-use"),
            ("update u set nope = 1", "column-missing"),
        ] {
            assert_eq!(place.error(sql).await.code, code, "{sql}");
        }
        place.run("drop schema other cascade; drop table if exists other.t2").await;
        assert_eq!(place.adapter.list_schemas().await.expect("schemas"), ["main"]);
        assert_eq!(place.rows("select * from \"elsewhere\".\"information_schema\".\"schemata\" order by 2").await, "dev|main");
    });
}

#[test]
fn seeds_get_the_types_dbt_gives_them() {
    multi(async {
        let place = Place::new().await;
        let csv = "\u{feff}id,big,price,money,day,at,iso,flag,mixed,blank,code,Name\n\
            1,3000000000,1.50,\"$1,200\",2024-01-05,2024-01-05 10:00:00,2024-01-05T10:00:00,true,1,,007,\"a \"\"q\"\", b\"\n\
            2.0,2,2,5,2024-1-6,2024-01-06 11:30:00,2024-01-05T10:00:00.5Z,FALSE,x,null,8,line\n\
            null,1,,,,,,,,,,\n";
        let file = place.write("seeds/s.csv", csv);
        let seed = |types: &[(&str, &str)], delimiter: char| Operation::LoadSeed {
            relation: relation("s"),
            file: file.clone(),
            delimiter,
            column_types: types.iter().map(|(name, data_type)| ((*name).to_string(), (*data_type).to_string())).collect(),
            quote_columns: false,
        };
        assert_eq!(place.apply(seed(&[], ',')).await, "INSERT 3");
        let columns = place.adapter.columns(&relation("s")).await.expect("columns");
        let types: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        assert_eq!(
            types,
            [
                "id integer",
                "big bigint",
                "price double precision",
                "money integer",
                "day date",
                "at timestamp without time zone",
                "iso timestamp without time zone",
                "flag boolean",
                "mixed character varying",
                "blank integer",
                "code integer",
                "name character varying",
            ]
        );
        assert_eq!(
            place
                .rows("select id, price, money, day, at, iso, flag, mixed, blank, code, name from s order by big desc limit 2")
                .await,
            "1|1.5|1200|2024-01-05|2024-01-05 10:00:00|2024-01-05 10:00:00|true|1|∅|7|a \"q\", b\n\
             2|2|5|2024-01-06|2024-01-06 11:30:00|2024-01-05 10:00:00.500000|false|x|∅|8|line"
        );
        place.apply(seed(&[("code", "varchar(3)"), ("id", "numeric(6,1)")], ',')).await;
        assert_eq!(place.rows("select id, code from s where code = '007'").await, "1.0|007");
        let error = place.adapter.apply(seed(&[("mixed", "integer")], ',')).await.expect_err("x is no number");
        assert_eq!(error.code, "seed-value");
        assert!(error.message.contains("s.csv:3: column \"mixed\": `x` is not an integer"), "{}", error.message);
        std::fs::write(&file, "a;b\n1;2\n1;2;3\n").expect("file");
        let error = place.adapter.apply(seed(&[], ';')).await.expect_err("ragged");
        assert!(error.message.contains("s.csv:3: the row has 3 values, the header 2 columns"), "{}", error.message);
    });
}

/// Declared columns of the text formats' test file.
const SALE: &[(&str, &str)] = &[
    ("id", "int"),
    ("price", "decimal(8,2)"),
    ("sold", "timestamp"),
    ("day", "date"),
    ("ok", "boolean"),
    ("note", "varchar(20)"),
    ("n", "smallint"),
];
const SALE_ROWS: &str = "1|12.50|2008-01-02 03:04:05|2008-01-02|true|a, b|1\n2|-0.01|2008-01-02 00:00:00|2008-01-03|false||∅";

#[test]
fn external_text_in_every_dress() {
    multi(async {
        let place = Place::new().await;
        let pipe = "id|price|sold|day|ok|note|n\n1|12.5|2008-01-02 03:04:05|2008-01-02|TRUE|a, b|1\n2|-0.010|2008-01-02|2008-01-03|0||\n";
        let csv = "1,12.50,2008-01-02T03:04:05,2008-01-02,t,\"a, b\",1\n2,-.01,2008-01-02 00:00,2008-1-3,f,\"\",\\N\n";
        let gz = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(pipe.as_bytes()).expect("gz");
            encoder.finish().expect("gz")
        };
        place.write("raw/pipe/sale.txt", pipe);
        place.write("raw/pipe/_SUCCESS", "");
        place.write("raw/gz/sale.txt.gz", gz);
        place.write("raw/zst/sale.txt.zst", zstd::encode_all(pipe.as_bytes(), 1).expect("zst"));
        place.write("raw/csv/sale.csv", csv);
        place.write("raw/tsv/sale.tsv", csv.replace("\"a, b\"", "a; b").replace(',', "\t").replace(';', ","));
        let json = r#"{"id":1,"price":12.5,"sold":"2008-01-02T03:04:05Z","DAY":"2008-01-02","ok":true,"note":"a, b","n":1,"more":{"x":[1]}}
{"id":"2","price":-0.01,"sold":"2008-01-02","day":"2008-01-03","ok":false,"note":"","n":null}
"#;
        place.write("raw/json/sale.json", json);
        let serde = "serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde' with serdeproperties ( 'separatorChar'='|' )";
        let skip = "('skip.header.line.count'='1')";
        let cases = [
            json!({"location": "raw/pipe/", "row_format": serde, "table_properties": skip}),
            json!({"location": "raw/pipe/*.txt", "row_format": "row format delimited fields terminated by '|'", "table_properties": {"skip.header.line.count": 1}}),
            json!({"location": format!("file://{}/raw/pipe/sale.txt", place.folder.path().display()), "file_format": "textfile", "row_format": serde, "table_properties": skip}),
            json!({"location": "raw/gz", "row_format": serde, "table_properties": skip}),
            json!({"location": "raw/zst", "row_format": serde, "table_properties": skip}),
            json!({"location": "raw/csv", "file_format": "csv"}),
            json!({"location": "raw/tsv", "using": "csv", "options": {"sep": "\\t"}}),
            json!({"location": "raw/pipe", "file_format": "( type = csv field_delimiter = '|' skip_header = 1 )"}),
            json!({"location": "raw/json", "row_format": "serde 'org.openx.data.jsonserde.JsonSerDe'"}),
        ];
        for (number, external) in cases.into_iter().enumerate() {
            let name = format!("sale_{number}");
            let staged = place.stage(&name, external.clone(), SALE).await;
            assert!(staged.is_ok(), "{external}: {}", staged.err().map(|e| e.message).unwrap_or_default());
            assert_eq!(place.rows(&format!("select * from {name} order by id")).await, SALE_ROWS, "{external}");
            assert_eq!(place.adapter.relation_type(&relation(&name)).await.expect("type"), Some(RelationType::External));
        }
        // No columns declared: names from the header, types by content.
        let external = json!({"location": "raw/pipe", "row_format": serde, "table_properties": skip});
        place.stage("guessed", external, &[]).await.map_err(|e| e.message).expect("stage");
        let columns = place.adapter.columns(&relation("guessed")).await.expect("columns");
        let types: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        assert_eq!(types[..4], ["id integer", "price double precision", "sold character varying", "day date"]);
    });
}

#[test]
fn external_files_that_change_are_read_again() {
    multi(async {
        let place = Place::new().await;
        let external = json!({"location": "in", "file_format": "csv"});
        let columns = [("id", "int")];
        place.write("in/a.csv", "1\n2\n");
        let first = place.stage("e", external.clone(), &columns).await.map_err(|e| e.message).expect("stage");
        assert!(first.ends_with("2 rows from 1 file, 1 file read"), "{first}");
        let again = place.stage("e", external.clone(), &columns).await.map_err(|e| e.message).expect("stage");
        assert!(again.ends_with("unchanged"), "{again}");
        place.apply(view_as("v", "select sum(id) as s from e")).await;
        // Without staging: a new file, a changed one, one that is gone.
        place.write("in/b.csv", "10\n");
        assert_eq!(place.rows("select s from v").await, "13");
        place.write("in/a.csv", "5\n6\n");
        assert_eq!(place.rows("select s from v").await, "21");
        std::fs::remove_file(place.folder.path().join("in/b.csv")).expect("remove");
        assert_eq!(place.rows("select s from v").await, "11");
        // Another process sees the table too, and other declared columns count at once.
        let other = open(place.folder.path()).await;
        assert_eq!(other.query("select s from v", None).await.expect("query").rows, [[Cell::Integer(11)]]);
        place.stage("e", external, &[("id", "numeric(5,1)")]).await.map_err(|e| e.message).expect("stage");
        assert_eq!(place.rows("select id from e order by 1").await, "5.0\n6.0");
        let error = place.stage("none", json!({"location": "nowhere/"}), &columns).await.expect_err("no folder");
        assert_eq!(error.code, "external-location");
    });
}

#[test]
fn rows_that_do_not_fit() {
    multi(async {
        let place = Place::new().await;
        let cases = [
            ("int", "x", "an int"),
            ("smallint", "40000", "a smallint"),
            ("decimal(4,2)", "1.234", "a decimal(4,2)"),
            ("decimal(4,2)", "100.00", "a decimal(4,2)"),
            ("date", "2008-02-30", "a date"),
            ("timestamp", "2008-01-01 25:00:00", "a timestamp"),
            ("boolean", "maybe", "a boolean"),
            ("double precision", "1,5", "a double precision"),
        ];
        for (number, (data_type, value, expected)) in cases.into_iter().enumerate() {
            place.write(&format!("bad{number}/f.txt"), format!("id|v\n1|\n2|{value}\n3|\n"));
            let block = |mode: &str| {
                json!({"location": format!("bad{number}"), "row_format": "delimited fields terminated by '|'",
                       "table_properties": {"skip.header.line.count": "1"}, "on_bad_row": mode})
            };
            let columns = [("id", "int"), ("v", data_type)];
            let name = format!("bad{number}");
            let error = place.stage(&name, block("fail"), &columns).await.expect_err("a bad row");
            assert_eq!(error.code, "external-row");
            let wanted = format!("f.txt:3: column \"v\": `{value}` is not {expected}");
            assert!(error.message.ends_with(&wanted), "{} / {wanted}", error.message);
            let queried = place.adapter.query(&format!("select * from {name}"), None).await.expect_err("still bad");
            assert_eq!((queried.code, queried.message), ("external-row", error.message));
            let staged = place.stage(&name, block("quarantine"), &columns).await.map_err(|e| e.message).expect("stage");
            assert!(staged.contains("2 rows from 1 file, 1 rejected"), "{staged}");
            assert_eq!(place.rows(&format!("select id from {name} order by id")).await, "1\n3");
            assert_eq!(place.rows(&format!("select _line, _row from {name}__rejects")).await, format!("3|2|{value}"));
        }
        place.write("ragged/f.csv", "1,a\n2\n3,b,c\n4,d,\n");
        let external = json!({"location": "ragged", "file_format": "csv", "on_bad_row": "quarantine"});
        place.stage("ragged", external, &[("id", "int"), ("t", "text")]).await.map_err(|e| e.message).expect("stage");
        assert_eq!(place.rows("select * from ragged order by id").await, "1|a\n4|d");
        assert_eq!(
            place.rows("select _line, _reason from ragged__rejects order by 1").await,
            "2|the row has 1 fields, 2 are declared\n3|the row has 3 fields, 2 are declared"
        );
        assert!(place.adapter.list_relations("main").await.expect("list").iter().any(|(r, _)| r.identifier == "ragged__rejects"));
    });
}

#[test]
fn external_parquet_avro_delta_and_partitions() {
    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    multi(async {
        let place = Place::new().await;
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("t", DataType::Utf8, true)]));
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(StringArray::from(vec![Some("7"), None]))],
        )
        .expect("batch");
        let mut parquet = parquet::arrow::ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), None).expect("parquet");
        parquet.write(&batch).expect("parquet");
        let parquet = parquet.into_inner().expect("parquet");
        let mut avro = arrow_avro::writer::AvroWriter::new(Vec::new(), schema.as_ref().clone()).expect("avro");
        avro.write(&batch).expect("avro");
        avro.finish().expect("avro");
        place.write("avro/f.avro", avro.into_inner());
        for (year, name) in [("2007", "a"), ("2008", "b c")] {
            place.write(&format!("hive/year={year}/name={}/f.parquet", name.replace(' ', "%20")), &parquet);
            place.write(&format!("hivetext/year={year}/name={}/f.csv", name.replace(' ', "%20")), "1,7\n2,\n");
        }
        place.apply(table_as("src", "select 1 as id, '7' as t union all select 2, null")).await;
        let typed = [("id", "int"), ("t", "bigint")];
        let delta = json!({"location": "lake/main/src/", "file_format": "delta"});
        for (name, external) in [("avro_t", json!({"location": "avro", "file_format": "avro"})), ("delta_t", delta)] {
            place.stage(name, external.clone(), &typed).await.map_err(|e| e.message).expect("stage");
            assert_eq!(place.rows(&format!("select * from {name} order by id")).await, "1|7\n2|∅", "{external}");
        }
        let parts = json!([{"name": "year", "data_type": "int"}, {"name": "name", "data_type": "varchar(5)"}]);
        for (name, location, format) in [("hive_p", "hive", "parquet"), ("hive_t", "hivetext", "csv")] {
            let external = json!({"location": location, "file_format": format, "partitions": parts});
            place.stage(name, external, &typed).await.map_err(|e| e.message).expect("stage");
            assert_eq!(place.rows(&format!("select * from {name} where id = 1 order by year")).await, "1|7|2007|a\n1|7|2008|b c");
            assert_eq!(place.rows(&format!("select count(*) from {name} where year = 2008")).await, "2");
        }
        place.stage("raw_p", json!({"location": "hive/**/*.parquet"}), &[]).await.map_err(|e| e.message).expect("stage");
        assert_eq!(place.rows("select count(*), sum(id) from raw_p").await, "4|6");
        let error = place.stage("orc", json!({"location": "hive", "file_format": "orc"}), &typed).await.expect_err("orc");
        assert_eq!(error.code, "external-invalid");
    });
}

#[test]
fn catalog_freshness_and_rename() {
    multi(async {
        let place = Place::new().await;
        let options = TableOptions {
            partition_by: vec!["k".into()],
            description: Some("Said of t".into()),
            column_descriptions: vec![("n".into(), "Said of n".into())],
            ..TableOptions::default()
        };
        let sql = "select n, n % 2 as k from generate_series(1, 10) as g(n)".to_string();
        place.apply(Operation::CreateTableAs { relation: relation("t"), sql, options }).await;
        place.apply(view_as("v", "select * from t")).await;
        let entries = place.adapter.catalog(&[relation("t"), relation("v"), relation("gone")]).await.expect("catalog");
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].comment.as_deref(), Some("Said of t"));
        assert_eq!(entries[0].columns[0].1.as_deref(), Some("Said of n"));
        assert_eq!(entries[0].stats[0].2, json!(10));
        assert_eq!(entries[1].columns.len(), 2);
        assert!(place.folder.path().join("lake/main/t/k=1").is_dir());
        assert_eq!(place.rows("select k, sum(n) from t group by k order by k").await, "0|30\n1|25");
        place.run("delete from t where n = 2; update t set k = 5 where n = 4").await;
        assert_eq!(place.rows("select k, sum(n) from t group by k order by k").await, "0|24\n1|25\n5|4");
        place.adapter.rename(&relation("t"), &relation("t2")).await.expect("rename");
        assert_eq!(place.adapter.relation_type(&relation("t")).await.expect("type"), None);
        assert_eq!(place.rows("select count(*) from t2").await, "9");
        let at = place.adapter.max_loaded_at("select max(x) from (select timestamp '2024-01-02 03:04:05.5' as x) as s").await;
        assert_eq!(at.expect("freshness").expect("a time").to_rfc3339(), "2024-01-02T03:04:05.500+00:00");
        // Many commits: checkpoints are written and read.
        for round in 0..12 {
            place.apply(table_as("many", &format!("select {round} as r"))).await;
        }
        assert_eq!(place.rows("select r from many").await, "11");
        assert!(place.folder.path().join("lake/main/many/_delta_log/00000000000000000009.checkpoint.parquet").is_file());
        let fresh = open(place.folder.path()).await;
        assert_eq!(fresh.query("select r from many", None).await.expect("query").rows, [[Cell::Integer(11)]]);
    });
}

#[test]
fn old_files_go_when_they_are_old_enough() {
    multi(async {
        let place = Place::new().await;
        for round in 0..12 {
            place.apply(table_as("t", &format!("select {round} as r"))).await;
        }
        let data_files = || {
            let files = std::fs::read_dir(place.folder.path().join("lake/main/t")).expect("the table's folder");
            files
                .filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|end| end == "parquet")))
                .count()
        };
        let lake = Lake::new(Storage::open("lake", place.folder.path(), &[]).expect("storage"));
        let table = TableName::new("main", "t");
        // A week is not over: every version can still be read.
        assert_eq!(lake.sweep_table(&table, None).await.expect("sweep"), 0);
        assert_eq!(data_files(), 12);
        assert_eq!(lake.sweep_table(&table, Some(Duration::ZERO)).await.expect("sweep"), 11);
        assert_eq!((data_files(), place.rows("select r from t").await), (1, "11".to_string()));
        // A table of another tool is left as it is.
        let log = place.folder.path().join("lake/main/foreign/_delta_log/00000000000000000000.json");
        place.write("lake/main/foreign/old.parquet", "x");
        let made = std::fs::read_to_string(place.folder.path().join("lake/main/t/_delta_log/00000000000000000000.json"));
        let foreign = made.expect("the log").replace("delta.enableExpiredLogCleanup", "delta.appendOnly.of.theirs");
        place.write(log.to_str().expect("a path"), foreign);
        assert_eq!(lake.sweep_table(&TableName::new("main", "foreign"), Some(Duration::ZERO)).await.expect("sweep"), 0);
    });
}

#[test]
fn what_killed_processes_left_is_removed() {
    multi(async {
        let place = Place::new().await;
        let old = place.write("lake/_headwater/scratch/dead/part.parquet", "x");
        let running = place.write("lake/_headwater/scratch/running/part.parquet", "x");
        let days_ago = std::time::SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
        let opened = std::fs::File::options().write(true).open(&old).expect("the file");
        opened.set_modified(days_ago).expect("its time");
        let lake = Lake::new(Storage::open("lake", place.folder.path(), &[]).expect("storage"));
        lake.sweep_abandoned().await.expect("sweep");
        assert!(!old.exists() && running.exists());
    });
}

#[tokio::test]
async fn a_join_holds_its_small_side() {
    let place = Place::new().await;
    place
        .run("create table sales as select n as id, n % 365 as day, n % 5000 as buyer from generate_series(1, 200000) as n")
        .await;
    place.run("create table days as select n as day, 'day ' || n as name from generate_series(0, 364) as n").await;
    place.run("create table buyers as select n as buyer, 'buyer ' || n as name from generate_series(0, 4999) as n").await;
    let query = "select s.id, d.name as day_name, b.name as buyer_name \
                 from sales as s join days as d on d.day = s.day join buyers as b on b.buyer = s.buyer";
    let plan = place.rows(&format!("explain {query}")).await;
    // In a physical plan a join's first input is the one it holds: sales come last, below both joins.
    let physical = plan.split_once("physical_plan").expect("a physical plan").1;
    let at = |table: &str| physical.find(&format!("/{table}/")).unwrap_or_else(|| panic!("no scan of {table} in {physical}"));
    assert!(at("buyers") < at("days") && at("days") < at("sales"), "{physical}");
    assert_eq!(place.rows(&format!("select count(*), count(distinct buyer_name) from ({query}) as q")).await, "200000|5000");
}
