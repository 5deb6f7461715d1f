//! What lies in a case's `expected/` folder is what is asserted.
//!
//! Every file there is compared with a text of the same form, made from what the program did. So one rule serves all kinds:
//! equal or a difference to show, and `HEADWATER_UPDATE=1` writes the text that was made.

use std::fs;
use std::path::{Component, Path, PathBuf};

use libtest_mimic::{Completion, Failed};
use serde_json::{Map, Value as Json};

use super::case::Case;
use super::diff;
use super::program::{Output, Program};
use super::text;

pub fn check(folder: &Path, case: &Case, program: &Program, outputs: &[Output]) -> Result<Completion, Failed> {
    let update = std::env::var_os("HEADWATER_UPDATE").is_some_and(|value| value != "0");
    let mut differences = String::new();
    for file in files(folder)? {
        let expected = fs::read_to_string(folder.join(&file))?;
        let Some((expected, actual)) = pair(&file, &expected, Scene { folder, case, program, outputs })? else { continue };
        if expected == actual {
            continue;
        }
        match update {
            true => fs::write(folder.join(&file), actual)?,
            false => differences += &format!("expected/{}\n{}", file.display(), diff::lines(&expected, &actual)),
        }
    }
    match differences.is_empty() {
        true => Ok(Completion::Completed),
        false => Err((differences + "HEADWATER_UPDATE=1 takes what came as what is expected").into()),
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    if folder.exists() {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() {
                files.push(entry.path().strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    Ok(files)
}

/// All that an expectation may look at.
struct Scene<'a> {
    folder: &'a Path,
    case: &'a Case,
    program: &'a Program,
    outputs: &'a [Output],
}

/// The expected text in its plain form, and what came in the same form; nothing for a file that only helps another.
fn pair(file: &Path, expected: &str, scene: Scene<'_>) -> Result<Option<(String, String)>, Failed> {
    let mut parts = file.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let kind = parts.next().unwrap_or_default();
    let rest: PathBuf = parts.collect();
    let project = &scene.program.project;
    let pair = match kind {
        "compiled" => (text::trimmed(expected), text::trimmed(&read(&project.join("target/compiled").join(rest), project)?)),
        "files" => (text::trimmed(expected), text::trimmed(&read(&project.join(rest), project)?)),
        "tables" if rest.extension().is_some_and(|extension| extension == "sql") => return Ok(None),
        "tables" => table(&rest, expected, &scene)?,
        "json" => json(expected, &project.join("target").join(rest))?,
        stream => (text::trimmed(expected), text::trimmed(printed(stream, scene.outputs)?)),
    };
    Ok(Some(pair))
}

fn read(path: &Path, project: &Path) -> Result<String, Failed> {
    let content = fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(text::normalize(&content, project))
}

/// What a step printed: `stdout.txt` is the last step's, `stdout.2.txt` the second's.
fn printed<'a>(file: &str, outputs: &'a [Output]) -> Result<&'a str, Failed> {
    let name = file.strip_suffix(".txt").unwrap_or(file);
    let (stream, step) = name.split_once('.').unwrap_or((name, ""));
    let number = if step.is_empty() { outputs.len() } else { step.parse()? };
    let output =
        number.checked_sub(1).and_then(|index| outputs.get(index)).ok_or(format!("expected/{file}: there is no such step"))?;
    match stream {
        "stdout" => Ok(&output.stdout),
        "stderr" => Ok(&output.stderr),
        _ => Err(format!("expected/{file}: nobody knows what to compare it with").into()),
    }
}

/// `tables/orders.csv` is the rows of `ref('orders')`, `tables/raw.orders.csv` those of that table, `tables/x.csv` beside
/// `tables/x.sql` those of the query. In order of their text.
fn table(file: &Path, expected: &str, scene: &Scene<'_>) -> Result<(String, String), Failed> {
    let name = file.with_extension("").to_string_lossy().into_owned();
    let query = scene.folder.join("tables").join(file.with_extension("sql"));
    let query = match query.exists() {
        true => fs::read_to_string(query)?,
        false if name.contains('.') => format!("select * from {name}"),
        false => format!("select * from {{{{ ref('{name}') }}}}"),
    };
    let args = ["show", "--inline", &query, "--output", "json", "--limit", "-1"].map(str::to_string);
    let args = [&args[..], &scene.case.show_args].concat();
    let env = scene.case.steps.last().map(|step| step.env.clone()).unwrap_or_default();
    let output = scene.program.call(&args, &env)?;
    let rows = shown_rows(&output.stdout)
        .ok_or_else(|| format!("{name} cannot be shown (exit code {:?})\n{}\n{}", output.exit, output.stdout, output.stderr))?;
    let wanted = records(expected)?;
    Ok((csv_text(&wanted)?, csv_text(&as_expected(table_records(&rows, &wanted), &wanted))?))
}

/// The rows in what `show --output json` printed, which may have log lines around it.
fn shown_rows(stdout: &str) -> Option<Vec<Map<String, Json>>> {
    let starts = stdout.char_indices().filter(|(at, c)| *c == '{' && (*at == 0 || stdout[..*at].ends_with('\n')));
    starts
        .filter_map(|(at, _)| serde_json::Deserializer::from_str(&stdout[at..]).into_iter::<Json>().next()?.ok())
        .find_map(|value| serde_json::from_value(value.get("show")?.clone()).ok())
}

type Records = Vec<Vec<String>>;

fn records(text: &str) -> Result<Records, Failed> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut records = Records::new();
    for record in reader.records() {
        records.push(record?.iter().map(str::to_string).collect());
    }
    Ok(sorted(records))
}

/// The header, then the rows in order of their text.
fn sorted(mut records: Records) -> Records {
    if let Some(rows) = records.get_mut(1..) {
        rows.sort();
    }
    records
}

/// An absent value is an empty field. A table without rows shows no columns: the expected header stands for them.
fn table_records(rows: &[Map<String, Json>], wanted: &Records) -> Records {
    let Some(first) = rows.first() else { return wanted.first().cloned().into_iter().collect() };
    let header = first.keys().cloned().collect();
    let cells = rows.iter().map(|row| {
        row.values()
            .map(|value| match value {
                Json::Null => String::new(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect()
    });
    std::iter::once(header).chain(cells).collect()
}

/// Writes a number as the expected row does where both are the same number (`5`, `5.0`, `5.00`).
fn as_expected(actual: Records, wanted: &Records) -> Records {
    let plain = |cell: &String| cell.parse::<f64>().map_or_else(|_| cell.clone(), |number| number.to_string());
    let spelling: std::collections::HashMap<Vec<String>, &Vec<String>> =
        wanted.iter().map(|row| (row.iter().map(plain).collect(), row)).collect();
    let spelt = actual.into_iter().map(|row| {
        let key: Vec<String> = row.iter().map(plain).collect();
        spelling.get(&key).map_or(row, |spelt| (*spelt).clone())
    });
    sorted(spelt.collect())
}

fn csv_text(records: &Records) -> Result<String, Failed> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for record in records {
        writer.write_record(record)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// An artifact, of which only the keys that the expected file names are looked at.
fn json(expected: &str, artifact: &Path) -> Result<(String, String), Failed> {
    let text = fs::read_to_string(artifact).map_err(|error| format!("{} cannot be read: {error}", artifact.display()))?;
    let (expected, actual): (Json, Json) = (serde_json::from_str(expected)?, serde_json::from_str(&text)?);
    let actual = subset(&actual, &expected);
    Ok((serde_json::to_string_pretty(&expected)? + "\n", serde_json::to_string_pretty(&actual)? + "\n"))
}

/// What `actual` has at the places that `wanted` names; a key that it lacks is left out.
fn subset(actual: &Json, wanted: &Json) -> Json {
    match (actual, wanted) {
        (Json::Object(actual), Json::Object(wanted)) => {
            let kept = wanted.iter().filter_map(|(key, wanted)| Some((key.clone(), subset(actual.get(key)?, wanted))));
            Json::Object(kept.collect())
        }
        (Json::Array(actual), Json::Array(wanted)) => Json::Array(elements(actual, wanted)),
        _ => actual.clone(),
    }
}

/// Lists are compared as wholes: place by place, or by `unique_id` where the elements have one (results come in any order).
fn elements(actual: &[Json], wanted: &[Json]) -> Vec<Json> {
    let id = |value: &Json| value.get("unique_id").and_then(Json::as_str).map(str::to_string);
    if !wanted.is_empty() && wanted.iter().all(|element| id(element).is_some()) {
        let known = wanted.iter().filter_map(|want| Some(subset(actual.iter().find(|element| id(element) == id(want))?, want)));
        let others = actual.iter().filter(|element| !wanted.iter().any(|want| id(want) == id(element))).cloned();
        return known.chain(others).collect();
    }
    actual
        .iter()
        .enumerate()
        .map(|(index, element)| wanted.get(index).map_or(element.clone(), |want| subset(element, want)))
        .collect()
}
