//! The `headwater` command: parses arguments, runs the command, ends with dbt's exit codes (0 done, 1 something failed,
//! 2 the command itself could not be carried out).

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
