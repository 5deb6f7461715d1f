//! Builds that are killed or interrupted at any moment while somebody reads: readers see whole tables, and the next build ends
//! well. `HEADWATER_KILLS` sets how often (3 if not set; the long form is 200).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headwater::adapter::{Adapter, Target, connect};
use headwater::rows::Cell;

/// Rows of the seed and so of every mart.
const ROWS: usize = 2000;

fn project(folder: &Path) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("dbt_project.yml", "name: shop\n");
    let rows: String = (0..ROWS).map(|id| format!("{id},{}\n", id % 7)).collect();
    write("seeds/s.csv", &format!("id,n\n{rows}"));
    write("models/stg.sql", "select id, n from {{ ref('s') }}");
    for mart in 0..6 {
        write(
            &format!("models/mart{mart}.sql"),
            "{{ config(materialized='table') }} select id, n, sum(n) over (order by id) as total from {{ ref('stg') }}",
        );
    }
    let merged = "{{ config(materialized='incremental', unique_key='id') }} select id, n from {{ ref('mart0') }}";
    write("models/merged.sql", merged);
}

fn headwater(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.args(args).current_dir(folder).env("HOME", folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Counts rows of the marts for as long as `go` says; gives the number of queries, and what was wrong with any.
async fn read(adapter: Arc<dyn Adapter>, go: Arc<AtomicBool>, queries: Arc<AtomicUsize>) -> Vec<String> {
    let tables = ["mart0", "mart3", "mart5", "merged"];
    let mut wrong = Vec::new();
    for table in tables.iter().cycle() {
        if !go.load(Ordering::Relaxed) || wrong.len() > 5 {
            break;
        }
        match adapter.query(&format!("select count(*) from main.{table}"), None).await {
            Ok(rows) if matches!(rows.rows[0][0], Cell::Integer(count) if count == ROWS as i64) => {}
            Ok(rows) => wrong.push(format!("{table} has {:?} rows", rows.rows)),
            Err(error) => wrong.push(format!("{table}: {}", error.message)),
        }
        queries.fetch_add(1, Ordering::Relaxed);
    }
    wrong
}

/// Sends a signal by its name; the shell's own `kill` needs no library.
fn signal(child: &Child, name: &str) {
    Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_a_killed_build() {
    let times: usize = std::env::var("HEADWATER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let place = tempfile::tempdir().unwrap();
    project(place.path());
    let started = Instant::now();
    assert!(headwater(place.path(), &["build"]).status().unwrap().success());
    let whole = started.elapsed();
    let settings = serde_json::Map::new();
    let target = Target { database: "dev", schema: "main", threads: 2, settings: &settings, base: place.path() };
    let adapter = connect("headwater", &target).await.unwrap();
    let (go, queries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let reader = tokio::spawn(read(adapter, go.clone(), queries.clone()));
    let mut slowest_end = Duration::ZERO;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..times {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = whole.mul_f64((random >> 33) as f64 / f64::from(1_u32 << 31));
        let mut build = headwater(place.path(), &["build"]).spawn().unwrap();
        tokio::time::sleep(moment).await;
        let name = if round % 2 == 0 { "-KILL" } else { "-INT" };
        signal(&build, name);
        let asked = Instant::now();
        build.wait().unwrap();
        if name == "-INT" {
            slowest_end = slowest_end.max(asked.elapsed());
        }
        if round % 10 == 0 {
            let retried = headwater(place.path(), &["retry"]).status().unwrap();
            assert!(retried.success(), "retry after round {round}");
        }
    }
    assert!(headwater(place.path(), &["build"]).status().unwrap().success(), "the next build ends well");
    go.store(false, Ordering::Relaxed);
    let wrong = reader.await.unwrap();
    eprintln!("{times} signals, {} queries, slowest end after ctrl-C {slowest_end:?}", queries.load(Ordering::Relaxed));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn two_builds_at_once_end_well() {
    let place = tempfile::tempdir().unwrap();
    project(place.path());
    let builds: Vec<Child> = (0..2).map(|_| headwater(place.path(), &["build"]).spawn().unwrap()).collect();
    for mut build in builds {
        assert!(build.wait().unwrap().success());
    }
}
