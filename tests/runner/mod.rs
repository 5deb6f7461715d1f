//! One case from its folder to its verdict.

use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Failed};

mod case;
mod diff;
mod expected;
mod program;
pub mod reference;
mod text;

use case::Case;
use program::{Output, Program};

/// Every case below `folder` with its name, the path from there, in order.
pub fn find(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut cases = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        if entry.file_name() == "case.toml"
            && let Some(case) = entry.path().parent()
        {
            let name = case.strip_prefix(folder).unwrap_or(case).to_string_lossy().replace('\\', "/");
            cases.push((name, case.to_path_buf()));
        }
    }
    Ok(cases)
}

/// Runs the case in `folder` with the program `binary`; `root` is the repository.
pub fn run(binary: &Path, root: &Path, folder: &Path) -> Result<Completion, Failed> {
    let case = Case::read(folder)?;
    if let Some(reason) = case.missing_service() {
        return Ok(Completion::ignored_with(reason));
    }
    let place = tempfile::tempdir()?;
    let program = Program::prepare(binary, place.path(), &case.project(root, folder), case.service_variables())?;
    let mut outputs = Vec::new();
    for (number, step) in (1..).zip(&case.steps) {
        let output = program.step(step)?;
        let mut complaints = step.complaints(&output);
        complaints.extend(case.excess(&output));
        if !complaints.is_empty() {
            return Err(report(number, &output, &complaints));
        }
        outputs.push(output);
    }
    expected::check(&folder.join("expected"), &case, &program, &outputs)
}

/// What a person needs who has to find out why a step went wrong.
fn report(number: usize, output: &Output, complaints: &[String]) -> Failed {
    let mut text = format!("step {number}: headwater {}\n", output.args.join(" "));
    complaints.iter().for_each(|complaint| text += &format!("  {complaint}\n"));
    for (name, content) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !content.is_empty() {
            text += &format!("--- {name}\n{content}\n");
        }
    }
    text.into()
}
