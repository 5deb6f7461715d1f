//! The command line's reference page, held to what the program says of itself.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;

use super::diff;

/// Where the page lies in the repository.
const PAGE: &str = "docs/reference/cli.md";

/// Compares the page with what `headwater reference` prints; with `HEADWATER_UPDATE=1` writes it anew.
pub fn check(binary: &Path, root: &Path) -> Result<(), Failed> {
    let output = Command::new(binary).arg("reference").output()?;
    if !output.status.success() {
        return Err(format!("headwater reference ended with {}", output.status).into());
    }
    let printed = String::from_utf8(output.stdout)?;
    let path = root.join(PAGE);
    if std::env::var_os("HEADWATER_UPDATE").is_some_and(|value| value != "0") {
        std::fs::write(path, printed)?;
        return Ok(());
    }
    let page = std::fs::read_to_string(path)?;
    match page == printed {
        true => Ok(()),
        false => Err(format!("{PAGE} is not what `headwater reference` prints:\n{}", diff::lines(&page, &printed)).into()),
    }
}
