//! Texts nobody would write: seeded mutations of the cases' own files through the YAML reader, the template engine, the SQL
//! parser with its rewriting, and the selection language. Nothing may panic, overflow the stack or take long; what comes out is
//! not looked at. `HEADWATER_FUZZ` sets the number of texts for each (300 if not set), `HEADWATER_FUZZ_SEED` where to begin.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater::compile::{CompileContext, CompileFlags, compile};
use headwater::event::NoEvents;
use headwater::graph::{Dag, SelectionArgs, select};
use headwater::manifest::Manifest;
use headwater::project::yaml;
use headwater::sql;
use serde_json::json;

use crate::execute::fixture::{jinja, model, project, seed};

/// No text of a few kilobytes may take longer, on a slow machine and without optimization.
const LONGEST: Duration = Duration::from_secs(10);
/// Texts beyond this size are cut: they only cost time.
const MOST_BYTES: usize = 4096;

/// Xorshift: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// The texts of all cases' files with one of these endings.
fn corpus(endings: &[&str]) -> Vec<String> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = walkdir::WalkDir::new(cases).sort_by_file_name().into_iter().flatten();
    let wanted = files.filter(|file| file.path().extension().is_some_and(|found| endings.iter().any(|ending| found == *ending)));
    wanted.filter_map(|file| std::fs::read_to_string(file.path()).ok()).filter(|text| text.len() < 20_000).collect()
}

fn mutated(corpus: &[String], words: &[&str], random: &mut Random) -> String {
    let mut text = corpus[random.below(corpus.len())].clone().into_bytes();
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(20)).min(text.len());
        match random.below(6) {
            0 => drop(text.drain(at..end)),
            1 => {
                let word = words[random.below(words.len())].repeat(1 + random.below(3));
                drop(text.splice(at..at, word.bytes()));
            }
            2 if at < text.len() => text[at] = random.below(256) as u8,
            3 => {
                let again = text[at..end].repeat(1 + random.below(40));
                drop(text.splice(at..at, again));
            }
            4 => text.truncate(at),
            _ => {
                let other = corpus[random.below(corpus.len())].as_bytes();
                let from = random.below(other.len() + 1);
                drop(text.splice(at..end, other[from..].iter().copied().take(200)));
            }
        }
    }
    text.truncate(MOST_BYTES);
    String::from_utf8_lossy(&text).into_owned()
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Feeds mutated texts to `target`; a text that fails is told whole.
fn fuzz(name: &str, corpus: &[String], words: &[&str], target: impl Fn(&str)) {
    let (times, seed) = (setting("HEADWATER_FUZZ", 300), setting("HEADWATER_FUZZ_SEED", 1));
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let started = Instant::now();
    for _ in 0..times {
        let text = mutated(corpus, words, &mut random);
        let begun = Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&text)));
        assert!(outcome.is_ok(), "{name}: a panic on {text:?}");
        assert!(begun.elapsed() < LONGEST, "{name}: {:?} for {text:?}", begun.elapsed());
    }
    eprintln!("{name}: {times} texts, {:.0} a second", times as f64 / started.elapsed().as_secs_f64());
}

#[test]
fn yaml_reader() {
    let words = ["*a", "&a ", "{{", "}}", "- ", ": ", "[", "{", "|\n", "'", "\"", "\t", "? ", "!!", "---\n", "%", "<<: "];
    fuzz("yaml", &corpus(&["yml"]), &words, |text| drop(yaml::parse(text, "models/m.yml")));
}

#[test]
fn template_engine() {
    let (engine, shop) = (Arc::new(jinja()), Arc::new(project("/project".into())));
    let words = ["{{", "}}", "{%", "%}", "{#", "-%}", "ref('a')", "for x in", "macro", "~", "|", "(", "set ", "caller", "loop."];
    fuzz("jinja", &corpus(&["sql"]), &words, |text| {
        let node = Arc::new(model("x", text, &["a"], json!({})));
        let nodes = [model("a", "select 1", &[], json!({})), seed("s"), (*node).clone()];
        let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node)).collect();
        let manifest = Arc::new(Manifest { nodes, ..Manifest::default() });
        let context =
            CompileContext::new(manifest, engine.clone(), shop.clone(), None, (Arc::new(NoEvents), CompileFlags::default()));
        drop(compile(&node, &context));
    });
}

#[test]
fn statements() {
    let words = [
        "select ",
        "from ",
        "(",
        ")",
        "::",
        "'",
        "\"",
        "$$",
        "/*",
        "--",
        "case when ",
        " over (",
        " union all ",
        ";",
        "qualify ",
    ];
    fuzz("sql", &corpus(&["sql", "slt"]), &words, |text| drop(sql::command(text)));
}

#[test]
fn selections() {
    let nodes = [model("a", "select 1", &[], json!({})), model("b", "select 1", &["a"], json!({})), seed("s")];
    let nodes = nodes.into_iter().map(|node| (node.unique_id.clone(), node)).collect();
    let manifest = Manifest { nodes, ..Manifest::default() };
    let dag = Dag::build(&manifest).expect("the nodes have no cycle");
    let texts = [
        "tag:x,config.materialized:view+",
        "2+a+3 @b",
        "path:models/**/a*.sql",
        "state:modified.body",
        "fqn:shop.*",
        "version:old",
    ];
    let corpus: Vec<String> = texts.map(str::to_string).into();
    let words =
        ["+", "@", ",", ":", "*", "[", "]", "?", "..", "tag:", "path:", "999999999999999999999+", "source:", "config.", "/"];
    fuzz("selections", &corpus, &words, |text| {
        let args = SelectionArgs { select: vec![text.to_string()], ..SelectionArgs::default() };
        drop(select(&manifest, &dag, &args));
    });
}
