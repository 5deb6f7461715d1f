//! `headwater watch`, as a process: edits files and reads what it prints.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

struct Watch {
    process: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        let mut process = command.arg("watch").current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    /// All lines up to the one that holds `text`.
    fn until(&self, text: &str) -> String {
        let (start, mut seen) = (Instant::now(), String::new());
        while start.elapsed() < PATIENCE {
            let Ok(line) = self.lines.recv_timeout(Duration::from_millis(100)) else { continue };
            seen.push_str(&line);
            seen.push('\n');
            if line.contains(text) {
                return seen;
            }
        }
        panic!("`{text}` did not come in {PATIENCE:?}:\n{seen}");
    }

    fn interrupt(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

#[test]
#[cfg(unix)]
fn an_edit_builds_what_it_touches() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("dbt_project.yml", "name: shop\nversion: '1.0'\nmodels: {+materialized: table}\n");
    write("models/a.sql", "select 1 as id");
    write("models/b.sql", "select id from {{ ref('a') }}");
    write("models/other.sql", "select 1 as id");
    write("models/m.yml", "models:\n- name: b\n  columns:\n  - {name: id, data_tests: [unique]}\n");
    write("macros/m.sql", "{% macro one() %}1{% endmacro %}");
    let watch = Watch::start(folder.path());
    watch.until("Watching 6 files");

    write("models/a.sql", "select 2 as id");
    let seen = watch.until("Done. PASS=3");
    assert!(
        seen.contains("main.a") && seen.contains("main.b") && seen.contains("unique_b_id") && !seen.contains("main.other"),
        "{seen}"
    );

    // A mistake is told, and the next edit mends it.
    write("models/b.sql", "select id from {{ ref('nowhere') }}");
    watch.until("nowhere");
    write("models/b.sql", "select id + {{ one() }} as id from {{ ref('a') }}");
    let seen = watch.until("Done. PASS=2");
    assert!(seen.contains("main.b") && !seen.contains("main.a "), "{seen}");

    write("macros/m.sql", "{% macro one() %}2{% endmacro %}");
    watch.until("Done. PASS=2");
    write("models/new.sql", "select 7 as id");
    let seen = watch.until("Done. PASS=1");
    assert!(seen.contains("main.new"), "{seen}");
    assert_eq!(watch.interrupt(), Some(0));
}
