//! Runs every `tests/cases/**/case.toml` as one test: the built binary, in a fresh copy of the case's folder. One more test
//! holds `docs/reference/cli.md` to the binary.
//!
//! `cargo test --test cases -- <part of a name>` runs some; `HEADWATER_UPDATE=1` rewrites the expected files that exist.
//! `HEADWATER_BINARY` names another program to run them with, such as a wrapper of dbt, to see whether an expectation is dbt's.
//! How a case is written: `tests/cases/README.md`.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod runner;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = std::env::var_os("HEADWATER_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_headwater").into());
    match runner::find(&root.join("tests/cases")) {
        Ok(cases) => {
            let trials = cases.into_iter().map(|(name, folder)| {
                let binary = binary.clone();
                Trial::ignorable_test(name, move || runner::run(Path::new(&binary), root, &folder))
            });
            let page = binary.clone();
            let reference = Trial::test("reference", move || runner::reference::check(Path::new(&page), root));
            libtest_mimic::run(&arguments, trials.chain([reference]).collect()).exit_code()
        }
        Err(error) => {
            eprintln!("the cases cannot be listed: {error}");
            ExitCode::FAILURE
        }
    }
}
