//! Tables that follow a PostgreSQL: what is in the source is in the lake, each change once, whatever happens on the way.
//!
//! They need `HEADWATER_TEST_POSTGRES` (`./.ci/services start`) and say so where it is not set. `HEADWATER_KILLS` sets how often
//! the process is killed (24 if not set; the long form is 300), `HEADWATER_SEED` which changes are made.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater::adapter::{Adapter, Target, connect};
use headwater::rows::Cell;
use headwater::wire::{Settings, Wire};
use serde_json::{Map, json};

const PASSWORD: &str = "headwater-test";

/// A database of its own on the test server, and a project beside it.
struct Place {
    folder: tempfile::TempDir,
    host: String,
    port: String,
    database: String,
}

fn settings(host: &str, port: &str, database: &str) -> Settings {
    let map = json!({"host": host, "port": port, "user": "headwater", "password": PASSWORD});
    Settings::read(map.as_object().unwrap_or(&Map::new()), database).unwrap()
}

impl Place {
    /// None where there is no server to test with.
    async fn new(name: &str, tables: &str) -> Option<Self> {
        let Ok(address) = std::env::var("HEADWATER_TEST_POSTGRES") else {
            eprintln!("skipped: HEADWATER_TEST_POSTGRES is not set");
            return None;
        };
        let (host, port) = address.split_once(':').unwrap();
        let database = format!("ingest_{name}_{}", std::process::id());
        let mut wire = Wire::connect(&settings(host, port, "postgres")).await.unwrap();
        wire.query(&format!("create database {database}")).await.unwrap();
        let place = Self { folder: tempfile::tempdir().unwrap(), host: host.to_string(), port: port.to_string(), database };
        place.write("dbt_project.yml", "name: shop\nprofile: shop\n");
        place.write(
            "profiles.yml",
            &format!(
                "shop:\n  target: dev\n  outputs:\n    dev: {{type: datafusion, path: warehouse, schema: main}}\n  connections:\n    \
                 db: {{type: postgres, host: {host}, port: {port}, user: headwater, password: {PASSWORD}, dbname: {}}}\n",
                place.database
            ),
        );
        place.write("models/sources.yml", &format!("sources:\n  - name: shop\n    tables:\n{tables}"));
        Some(place)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    async fn sql(&self) -> Wire {
        Wire::connect(&settings(&self.host, &self.port, &self.database)).await.unwrap()
    }

    fn headwater(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        command.args(args).current_dir(self.folder.path()).env("HOME", self.folder.path());
        command
    }

    async fn catch_up(&self, more: &[&str]) -> Output {
        let mut command = self.headwater(&[&["ingest", "--until-caught-up"], more].concat());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn lake(&self) -> Arc<dyn Adapter> {
        let settings = Map::new();
        let target = Target { database: "dev", schema: "main", threads: 2, settings: &settings, base: self.folder.path() };
        connect("datafusion", &target).await.unwrap()
    }

    /// The database goes with its slots.
    async fn remove(self) {
        let mut wire = Wire::connect(&settings(&self.host, &self.port, "postgres")).await.unwrap();
        let slots =
            format!("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '{}'", self.database);
        for _ in 0..20 {
            if wire.query(&slots).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        wire.query(&format!("drop database {} with (force)", self.database)).await.unwrap();
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn rows_of_source(wire: &mut Wire, sql: &str) -> Vec<Vec<String>> {
    let shown = |row: Vec<Option<String>>| row.into_iter().map(|cell| cell.unwrap_or_else(|| "null".to_string())).collect();
    wire.query(sql).await.unwrap().rows.into_iter().map(shown).collect()
}

async fn rows_of_lake(lake: &Arc<dyn Adapter>, sql: &str) -> Vec<Vec<String>> {
    let shown = |cell: &Cell| match cell {
        Cell::Null => "null".to_string(),
        cell => cell.display(),
    };
    lake.query(sql, None).await.unwrap().rows.iter().map(|row| row.iter().map(shown).collect()).collect()
}

fn assert_same(what: &str, source: &[Vec<String>], lake: &[Vec<String>]) {
    let wrong: Vec<_> = source.iter().zip(lake).filter(|(source, lake)| source != lake).take(5).collect();
    assert!(wrong.is_empty(), "{what}: source and lake differ: {wrong:?}");
    assert_eq!(source.len(), lake.len(), "{what}: another number of rows");
}

/// Numbers that look random and are the same each time (Numerical Recipes' generator).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

const TABLES: &str = "
create table item (id int primary key, name text, amount numeric(12,2), big text, n bigint, at timestamptz);
alter table item alter big set storage external;
create table pair (a int, b text, v text, flag boolean, primary key (a, b));
create table audit (id int primary key, v text);
insert into item select g, 'n' || g, g / 3.0, repeat('x', 3000), g, now() from generate_series(1, 400) g;
insert into pair select g, 'b' || g, 'v' || g, g % 2 = 0 from generate_series(1, 200) g;
insert into audit select g, 'a' || g from generate_series(1, 100) g;
";

const FEEDS: &str = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item, history: true}}
      - {name: pair, ingest: {connector: postgres, connection: db, table: public.pair}}
      - {name: audit, ingest: {connector: postgres, connection: db, table: public.audit, deletes: soft}}
";

/// One transaction of the load: every kind of change there is.
fn transaction(random: &mut Random, step: u64) -> String {
    let id = 1 + random.below(500);
    let other = 1000 + random.below(400);
    match random.below(12) {
        0 | 1 => format!(
            "insert into item values ({id}, 'i{step}', {step}.25, repeat('y', 2500), {step}, now()) \
                          on conflict (id) do update set name = excluded.name"
        ),
        2 => format!("update item set name = 'u{step}', n = {step} where id = {id}"),
        3 => format!("delete from item where id = {id}"),
        4 => format!("update item set id = {other} where id = {id} and not exists (select 1 from item where id = {other})"),
        5 => format!("update pair set v = 'p{step}', flag = not flag where a = {id}"),
        6 => format!("update pair set b = 'moved{step}' where a = {id}"),
        7 => format!(
            "begin; update item set n = n + 1 where id < {id}; savepoint s; update item set name = 'undone'; \
                      rollback to s; insert into audit values ({step} + 100000, 's{step}'); commit"
        ),
        8 => format!(
            "begin; insert into item select g, 'never', 0, repeat('z', 2000), 0, now() from \
                      generate_series({step} * 1000 + 1000000, {step} * 1000 + 1000900) g; rollback"
        ),
        9 => format!(
            "begin; insert into item select g, 'big{step}', 1.5, repeat('z', 2200), {step}, now() from \
                      generate_series({step} * 1000 + 2000000, {step} * 1000 + 2000600) g; savepoint a; \
                      delete from item where id % 3 = 0 and id > 2000000; rollback to a; \
                      delete from item where id > 2000000 and id < {step} * 1000 + 1999000; commit"
        ),
        10 => format!("update audit set v = 'w{step}' where id = {id}; delete from audit where id = {id} + 1"),
        _ => format!("insert into audit values ({id}, 'again{step}') on conflict (id) do update set v = excluded.v"),
    }
}

async fn load(mut wire: Wire, go: Arc<AtomicBool>, seed: u64) -> u64 {
    let mut random = Random(seed);
    let mut step = 0;
    while go.load(Ordering::Relaxed) {
        step += 1;
        wire.query(&transaction(&mut random, step)).await.unwrap();
        if step.is_multiple_of(211) {
            wire.query("truncate pair; insert into pair select g, 'b' || g, 'v', true from generate_series(1, 150) g")
                .await
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1 + random.below(12))).await;
    }
    step
}

/// Every cell of the three tables, and of the log of changes what it must add up to.
async fn compare(place: &Place) {
    let (mut source, lake) = (place.sql().await, place.lake().await);
    let columns = "id, name, amount::text, md5(big), n, (extract(epoch from at) * 1000000)::bigint";
    let theirs = rows_of_source(&mut source, &format!("select {columns} from item order by id")).await;
    let columns =
        "id, name, cast(amount as varchar), md5(big), n, cast(arrow_cast(at, 'Timestamp(Microsecond, None)') as bigint)";
    let ours = rows_of_lake(&lake, &format!("select {columns} from shop.item order by id")).await;
    assert_same("item", &theirs, &ours);
    let theirs = rows_of_source(&mut source, "select a, b, v, flag::text from pair order by a, b collate \"C\"").await;
    let ours = rows_of_lake(&lake, "select a, b, v, cast(flag as varchar) from shop.pair order by a, b").await;
    assert_same("pair", &theirs, &ours);
    let theirs = rows_of_source(&mut source, "select id, v from audit order by id").await;
    let ours = rows_of_lake(&lake, "select id, v from shop.audit where not _deleted order by id").await;
    assert_same("audit", &theirs, &ours);
    let twice = "select _position, count(*) from shop.item__history group by 1 having count(*) > 1";
    assert_same("changes that came twice", &[], &rows_of_lake(&lake, twice).await);
    let last = "select id, name, n from (select *, row_number() over (partition by id order by _position desc) as last \
                from shop.item__history) where last = 1 and _op <> 'd' order by id";
    let theirs = rows_of_source(&mut source, "select id, name, n from item order by id").await;
    assert_same("item__history", &theirs, &rows_of_lake(&lake, last).await);
}

const FAILPOINTS: &[&str] =
    &["files-written", "vectors-written", "committed", "durable", "compacted", "before-told", "told", "slot-made"];

/// Runs an ingest to a violent end: at a named place, or at any moment.
async fn kill_once(place: &Place, random: &mut Random) {
    let mut command = place.headwater(&["ingest"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if random.below(2) == 0 {
        let point = FAILPOINTS[usize::try_from(random.below(FAILPOINTS.len() as u64)).unwrap()];
        command.env("HEADWATER_FAILPOINT", format!("{point}:{}", 1 + random.below(6)));
    }
    let mut child = command.spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(150 + random.below(1600))).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_and_repeat_nothing() {
    let asked: Option<u64> = std::env::var("HEADWATER_KILLS").ok().and_then(|text| text.parse().ok());
    let seed: u64 = std::env::var("HEADWATER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    let Some(place) = Place::new("kills", FEEDS).await else { return };
    place.sql().await.query(TABLES).await.unwrap();
    let go = Arc::new(AtomicBool::new(true));
    let loading = tokio::spawn(load(place.sql().await, go.clone(), seed));
    let mut random = Random(seed + 1);
    for kill in 1..=asked.unwrap_or(24) {
        kill_once(&place, &mut random).await;
        if kill % 12 == 0 {
            eprintln!("{kill} kills");
        }
    }
    go.store(false, Ordering::Relaxed);
    eprintln!("{} transactions", loading.await.unwrap());
    let output = place.catch_up(&[]).await;
    assert!(output.status.success(), "{}", text(&output));
    compare(&place).await;
    place.remove().await;
}

/// The current rows are copied and the log of changes is not: what the source commits then is in neither copy and must come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_two_copies_loses_no_change() {
    let feeds = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item, history: true}}\n";
    let Some(place) = Place::new("between", feeds).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table item (id int primary key, v text); insert into item values (1, 'a'), (2, 'b')").await.unwrap();
    let slot = "select slot_name from pg_replication_slots where database = current_database() and not temporary";
    let mut command = place.headwater(&["ingest", "--until-caught-up"]);
    command.env("HEADWATER_FAILPOINT", "durable:1");
    let killed = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(!killed.status.success(), "{}", text(&killed));
    let lake = place.lake().await;
    assert_eq!(rows_of_lake(&lake, "select id from shop.item order by id").await, [["1"], ["2"]]);
    assert!(!place.folder.path().join("warehouse/shop/item__history").exists());
    assert_eq!(rows_of_source(&mut sql, slot).await.len(), 1);

    sql.query("update item set v = 'late' where id = 1; delete from item where id = 2; insert into item values (3, 'c')")
        .await
        .unwrap();
    let output = place.catch_up(&[]).await;
    assert!(output.status.success(), "{}", text(&output));
    let rows = rows_of_lake(&place.lake().await, "select id, v from shop.item order by id").await;
    assert_eq!(rows, [["1", "late"], ["3", "c"]]);
    let last = "select id, v from (select *, row_number() over (partition by id order by _position desc) as last \
                from shop.item__history) where last = 1 and _op <> 'd' order by id";
    assert_eq!(rows_of_lake(&place.lake().await, last).await, [["1", "late"], ["3", "c"]]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_told_and_not_passed_over() {
    let feeds = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item}}\n";
    let Some(place) = Place::new("gaps", feeds).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table item (id int primary key, v text); insert into item values (1, 'a')").await.unwrap();
    assert!(place.catch_up(&[]).await.status.success());
    let slot = "select slot_name from pg_replication_slots where database = current_database()";
    let slot = rows_of_source(&mut sql, slot).await[0][0].clone();

    // The slot is gone, with what was changed since; the server may take a moment to see that its reader has left.
    while sql.query(&format!("select pg_drop_replication_slot('{slot}')")).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    sql.query("insert into item values (2, 'lost')").await.unwrap();
    let stopped = place.catch_up(&[]).await;
    assert!(!stopped.status.success() && text(&stopped).contains("ingest-gap"), "{}", text(&stopped));

    // Somebody made it anew, which looks as if nothing had happened.
    sql.query(&format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')")).await.unwrap();
    let stopped = place.catch_up(&[]).await;
    assert!(!stopped.status.success() && text(&stopped).contains("ingest-gap"), "{}", text(&stopped));
    sql.query("insert into item values (3, 'kept')").await.unwrap();
    let accepted = place.catch_up(&["--accept-gap"]).await;
    assert!(accepted.status.success(), "{}", text(&accepted));
    let ids = "select id from shop.item order by id";
    assert_same("behind the gap", &[vec!["1".into()], vec!["3".into()]], &rows_of_lake(&place.lake().await, ids).await);
    assert!(place.catch_up(&["--resnapshot"]).await.status.success());
    assert_eq!(rows_of_lake(&place.lake().await, ids).await.len(), 3);

    // Out of the publication and back in: what happened meanwhile is in no stream.
    sql.query("drop table item; create table item (id int primary key, v text); insert into item values (9, 'new')")
        .await
        .unwrap();
    let stopped = place.catch_up(&[]).await;
    assert!(!stopped.status.success() && text(&stopped).contains("ingest-gap"), "{}", text(&stopped));
    assert!(place.catch_up(&["--resnapshot"]).await.status.success());
    assert_eq!(rows_of_lake(&place.lake().await, ids).await, [["9"]]);

    // A slot nobody here knows of.
    fs::remove_file(place.folder.path().join("warehouse/_headwater/ingest/db!2Ejson")).unwrap();
    let stopped = place.catch_up(&[]).await;
    assert!(!stopped.status.success() && text(&stopped).contains("ingest-slot-foreign"), "{}", text(&stopped));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_come_go_and_change() {
    let feeds = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item, history: true}}\n";
    let Some(place) = Place::new("columns", feeds).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table item (id int primary key, v text, gone int); insert into item values (1, 'a', 7)").await.unwrap();
    assert!(place.catch_up(&[]).await.status.success());
    sql.query(
        "begin; insert into item values (2, 'b', 8); alter table item add column extra date; \
         insert into item values (3, 'c', 9, '2026-01-02'); commit; \
         alter table item drop column gone; update item set v = 'd' where id = 1",
    )
    .await
    .unwrap();
    let output = place.catch_up(&[]).await;
    assert!(output.status.success(), "{}", text(&output));
    let rows = "select id, v, gone, cast(extra as varchar) from shop.item order by id";
    let row = |cells: [&str; 4]| cells.map(str::to_string).to_vec();
    let wanted = [row(["1", "d", "null", "null"]), row(["2", "b", "8", "null"]), row(["3", "c", "9", "2026-01-02"])];
    assert_same("item", &wanted, &rows_of_lake(&place.lake().await, rows).await);

    sql.query("alter table item alter v type int using 1; insert into item values (4, 5)").await.unwrap();
    let stopped = place.catch_up(&[]).await;
    assert!(!stopped.status.success() && text(&stopped).contains("ingest-schema"), "{}", text(&stopped));
    assert!(place.catch_up(&["--resnapshot"]).await.status.success());
    let rows = rows_of_lake(&place.lake().await, "select id, v from shop.item order by id").await;
    assert_eq!(rows.last().map(|row| row.join(" ")), Some("4 5".to_string()));
    place.remove().await;
}

/// One transaction far beyond what is held in memory, most of it undone again, and one that takes values along to other keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_transactions_arrive_whole() {
    let feeds = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item, history: true}}\n";
    let Some(place) = Place::new("large", feeds).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table item (id int primary key, v text, big text); alter table item alter big set storage external")
        .await
        .unwrap();
    assert!(place.catch_up(&[]).await.status.success());
    sql.query(
        "begin; insert into item select g, 'a' || g, repeat(chr(97 + g % 26), 2100) from generate_series(1, 60000) g; \
         savepoint s; update item set v = 'undone', big = repeat('q', 2500); rollback to s; \
         update item set v = 'late' where id % 3 = 0; update item set id = id + 1000000 where id % 5 = 0; \
         delete from item where id % 7 = 0; commit; \
         update item set v = 'after' where id % 11 = 0; update item set id = id + 2000000 where id % 13 = 0",
    )
    .await
    .unwrap();
    let output = place.catch_up(&[]).await;
    assert!(output.status.success(), "{}", text(&output));
    let query = |table: &str| format!("select id, v, md5(big) from {table} order by id");
    let theirs = rows_of_source(&mut sql, &query("item")).await;
    assert_same("item", &theirs, &rows_of_lake(&place.lake().await, &query("shop.item")).await);
    let versions = "select count(distinct _position) - count(*) from shop.item__history";
    assert_eq!(rows_of_lake(&place.lake().await, versions).await, [["0"]]);
    place.remove().await;
}

/// A slot belongs to all tables of a connection: what one of them has yet to get is kept while only others are followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_left_out_for_a_while_lose_nothing() {
    let feed =
        |name: &str| format!("      - {{name: {name}, ingest: {{connector: postgres, connection: db, table: public.{name}}}}}\n");
    let Some(place) = Place::new("parts", &[feed("a"), feed("b")].concat()).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table a (id int primary key); create table b (id int primary key); create table c (id int primary key)")
        .await
        .unwrap();
    let caught_up = async |more: &[&str]| {
        let output = place.catch_up(more).await;
        assert!(output.status.success(), "{}", text(&output));
    };
    let same = async |sql: &mut Wire, tables: &[&str]| {
        let lake = place.lake().await;
        for name in tables {
            let theirs = rows_of_source(sql, &format!("select id from {name} order by id")).await;
            assert_same(name, &theirs, &rows_of_lake(&lake, &format!("select id from shop.{name} order by id")).await);
        }
    };
    caught_up(&[]).await;

    for (id, more) in [&["--select", "source:shop.a"][..], &["--resnapshot", "--select", "source:shop.a"]].iter().enumerate() {
        sql.query(&format!("insert into a values ({id}); insert into b values ({id})")).await.unwrap();
        caught_up(more).await;
        same(&mut sql, &["a"]).await;
    }
    // A table that is new comes alone, while the others have something to get.
    let all = [feed("a"), feed("b"), feed("c")].concat();
    place.write("models/sources.yml", &format!("sources:\n  - name: shop\n    tables:\n{all}"));
    sql.query("insert into a values (10); insert into b values (10); insert into c values (10)").await.unwrap();
    caught_up(&["--select", "source:shop.c"]).await;
    caught_up(&[]).await;
    same(&mut sql, &["a", "b", "c"]).await;

    // One that was taken out of the project is let go of, and told of when it comes back.
    place.write("models/sources.yml", &format!("sources:\n  - name: shop\n    tables:\n{}", feed("a")));
    sql.query("insert into a values (20); insert into b values (20)").await.unwrap();
    caught_up(&[]).await;
    place.write("models/sources.yml", &format!("sources:\n  - name: shop\n    tables:\n{all}"));
    let stopped = place.catch_up(&[]).await;
    assert!(!stopped.status.success() && text(&stopped).contains("ingest-gap"), "{}", text(&stopped));
    assert!(text(&stopped).contains(r#""shop"."b" was not followed"#), "{}", text(&stopped));
    caught_up(&["--resnapshot", "--select", "source:shop.b source:shop.c"]).await;
    sql.query("insert into a values (30); insert into b values (30)").await.unwrap();
    caught_up(&[]).await;
    same(&mut sql, &["a", "b", "c"]).await;
    place.remove().await;
}

/// What the source calls otherwise from now on is not passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_table_stops_the_ingest() {
    let feeds = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item}}\n";
    let Some(place) = Place::new("renamed", feeds).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table item (id int primary key); insert into item values (1)").await.unwrap();
    assert!(place.catch_up(&[]).await.status.success());
    let mut command = place.headwater(&["ingest", "--for", "60s"]);
    let following = tokio::task::spawn_blocking(move || command.output().unwrap());
    until_followed(&mut sql).await;
    sql.query("alter table item rename to other; insert into other values (2)").await.unwrap();
    let stopped = following.await.unwrap();
    assert!(!stopped.status.success() && text(&stopped).contains("ingest-table-replaced"), "{}", text(&stopped));
    sql.query("alter table other rename to item").await.unwrap();
    place.remove().await;
}

async fn until_followed(sql: &mut Wire) {
    let active = "select 1 from pg_replication_slots where database = current_database() and not temporary and active";
    while sql.query(active).await.unwrap().rows.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Values that are only understood as text may come at any time into a stream that sends them in their binary form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_needs_text_changes_how_values_are_sent() {
    let feeds = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item}}\n";
    let Some(place) = Place::new("as_text", feeds).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table item (id int primary key, v text); insert into item values (1, 'a')").await.unwrap();
    assert!(place.catch_up(&[]).await.status.success());
    // Both come after the start of the stream; of the second column nothing is left when it is read.
    sql.query(
        "begin; insert into item values (2, 'b'); alter table item add column place point; \
         insert into item values (3, 'c', '(1,2)'); commit; \
         alter table item add column list int[]; insert into item values (4, 'd', '(3,4)', '{1,2,null}'); \
         alter table item drop column place, drop column list",
    )
    .await
    .unwrap();
    let output = place.catch_up(&[]).await;
    assert!(output.status.success(), "{}", text(&output));
    let rows = "select id, v, place, list from shop.item order by id";
    let row = |cells: [&str; 4]| cells.map(str::to_string).to_vec();
    let wanted = [
        row(["1", "a", "null", "null"]),
        row(["2", "b", "null", "null"]),
        row(["3", "c", "(1,2)", "null"]),
        row(["4", "d", "(3,4)", "{1,2,NULL}"]),
    ];
    assert_same("item", &wanted, &rows_of_lake(&place.lake().await, rows).await);
    place.remove().await;
}

/// Another slot's name is another place: what was told of the first says nothing of it, and what stands there is not ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_of_another_name_is_not_ours() {
    let feeds = "      - {name: item, ingest: {connector: postgres, connection: db, table: public.item}}\n";
    let Some(place) = Place::new("slots", feeds).await else { return };
    let mut sql = place.sql().await;
    sql.query("create table item (id int primary key); insert into item values (1)").await.unwrap();
    assert!(place.catch_up(&[]).await.status.success());
    let foreign = format!("foreign_{}", std::process::id());
    sql.query(&format!("select pg_create_logical_replication_slot('{foreign}', 'pgoutput')")).await.unwrap();
    let profiles = fs::read_to_string(place.folder.path().join("profiles.yml")).unwrap();
    place.write("profiles.yml", &profiles.replace("dbname:", &format!("slot: {foreign}, dbname:")));
    for more in [&[][..], &["--resnapshot"], &["--accept-gap"]] {
        let stopped = place.catch_up(more).await;
        assert!(!stopped.status.success() && text(&stopped).contains("ingest-slot-foreign"), "{}", text(&stopped));
    }
    let mut reset = place.headwater(&["ingest", "reset"]);
    assert!(reset.output().unwrap().status.success());
    let slots = "select slot_name from pg_replication_slots where database = current_database()";
    assert_eq!(rows_of_source(&mut sql, slots).await, [[foreign]]);
    place.remove().await;
}

/// No path of another machine in a message.
#[test]
fn blocks_are_checked() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path: &Path = &place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("dbt_project.yml", "name: shop\nprofile: shop\n");
    write(
        "profiles.yml",
        "shop:\n  outputs:\n    default: {type: datafusion, schema: main}\n  connections:\n    db: {type: postgres}\n",
    );
    let said = |block: &str| {
        write("models/s.yml", &format!("sources:\n  - name: shop\n    tables:\n      - name: item\n        ingest: {block}\n"));
        let output = Command::new(env!("CARGO_BIN_EXE_headwater")).arg("ingest").current_dir(place.path()).output().unwrap();
        assert!(!output.status.success());
        text(&output)
    };
    assert!(said("{connector: postgre, connection: db}").contains("did you mean `postgres`?"));
    assert!(said("{connector: postgres, conection: db}").contains("did you mean `connection`?"));
    assert!(said("{connector: postgres, connection: dv}").contains("its `connections` are `db`"));
    assert!(said("{connector: postgres, connection: db, deletes: gone}").contains("one of hard, soft, ignore"));
}
