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
    let asked: Option<usize> = std::env::var("HEADWATER_KILLS").ok().and_then(|text| text.parse().ok());
    let times = asked.unwrap_or(3);
    let place = tempfile::tempdir().unwrap();
    project(place.path());
    let started = Instant::now();
    assert!(headwater(place.path(), &["build"]).status().unwrap().success());
    let whole = started.elapsed();
    let settings = serde_json::Map::new();
    let target = Target { database: "dev", schema: "main", threads: 2, settings: &settings, base: place.path() };
    let adapter = connect("datafusion", &target).await.unwrap();
    let (go, queries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = (0..2).map(|_| tokio::spawn(read(adapter.clone(), go.clone(), queries.clone()))).collect();
    let told = signals(place.path(), times, whole).await;
    assert!(headwater(place.path(), &["build"]).status().unwrap().success(), "the next build ends well");
    go.store(false, Ordering::Relaxed);
    let mut wrong = Vec::new();
    for reader in readers {
        wrong.extend(reader.await.unwrap());
    }
    eprintln!("{times} signals in a build of {whole:?}, {} queries, {told:#?}", queries.load(Ordering::Relaxed));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(told.wrong.is_empty(), "{:#?}", told.wrong);
    // A bar on time means something only where the machine has nothing else to do, as for the long form.
    assert!(asked.is_none() || told.slowest_end < Duration::from_secs(2), "{told:#?}");
}

/// What came of the signals.
#[derive(Debug, Default)]
struct Told {
    killed: usize,
    /// Builds that ctrl-C stopped in their run.
    interrupted: usize,
    /// Those that it ended before anything ran, as a signal ends a program.
    before_the_run: usize,
    /// Those that were done before the signal came.
    done: usize,
    next_builds: usize,
    slowest_end: Duration,
    wrong: Vec<String>,
}

/// Sends `times` signals, each to a build of its own at a random moment of the time a whole one takes.
async fn signals(folder: &Path, times: usize, whole: Duration) -> Told {
    let mut told = Told::default();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..times {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = whole.mul_f64((random >> 33) as f64 / f64::from(1_u32 << 31));
        let kills = round % 2 == 0;
        let results = folder.join("target/run_results.json");
        if !kills {
            let _ = fs::remove_file(&results);
        }
        let mut build = headwater(folder, &["build"]).spawn().unwrap();
        tokio::time::sleep(moment).await;
        signal(&build, if kills { "-KILL" } else { "-INT" });
        let asked = Instant::now();
        let ended = build.wait().unwrap();
        if kills {
            told.killed += 1;
        } else {
            told.slowest_end = told.slowest_end.max(asked.elapsed());
            told.note_end(round, ended.code(), results.is_file());
        }
        if round % 10 == 0 {
            let again = if round % 20 == 0 { "retry" } else { "build" };
            told.next_builds += 1;
            if !headwater(folder, &[again]).status().unwrap().success() {
                told.wrong.push(format!("{again} after round {round} failed"));
            }
        }
    }
    told
}

impl Told {
    fn note_end(&mut self, round: usize, code: Option<i32>, results: bool) {
        match (code, results) {
            (None, false) => self.before_the_run += 1,
            (Some(0), true) => self.done += 1,
            (Some(1), true) => self.interrupted += 1,
            other => self.wrong.push(format!("round {round}: exit and results after ctrl-C were {other:?}")),
        }
    }
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
