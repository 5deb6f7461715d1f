//! `case.toml`: what a case does, as data.

use std::collections::BTreeMap;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Failed;
use serde::Deserialize;

use super::program::Output;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// One sentence: what the case shows.
    #[allow(dead_code, reason = "for people")]
    about: String,
    /// A folder of the repository to run in, instead of the case's own.
    project: Option<PathBuf>,
    /// Services that must answer, or else the case is skipped.
    #[serde(default)]
    requires: Vec<String>,
    /// What each call may take at most.
    pub limits: Option<Limits>,
    pub steps: Vec<Step>,
    /// Arguments that the `show` calls behind `expected/tables` need, such as `--target`.
    #[serde(default)]
    pub show_args: Vec<String>,
}

/// Bounds of a call's time on processors and of the memory it has at its peak (where the system tells that: Linux).
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    seconds: f64,
    mib: u64,
}

/// A text too long to write down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    #[serde(default)]
    before: String,
    text: String,
    times: usize,
    #[serde(default)]
    after: String,
}

impl Fill {
    pub fn content(&self) -> String {
        format!("{}{}{}", self.before, self.text.repeat(self.times), self.after)
    }
}

/// One call of the program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub args: Vec<String>,
    #[serde(default)]
    pub exit: i32,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files to write before the call: path in the project to content.
    #[serde(default)]
    pub write: BTreeMap<PathBuf, String>,
    /// Files to write before the call whose text repeats.
    #[serde(default)]
    pub fill: BTreeMap<PathBuf, Fill>,
    /// Symbolic links to make before the call: path in the project to what it leads to.
    #[serde(default)]
    pub link: BTreeMap<PathBuf, PathBuf>,
    /// Files to remove before the call.
    #[serde(default)]
    pub remove: Vec<PathBuf>,
    /// Texts that standard output must hold.
    #[serde(default)]
    stdout: Vec<String>,
    /// Texts that standard output and standard error together must hold.
    #[serde(default)]
    output: Vec<String>,
    /// Texts that neither may hold.
    #[serde(default)]
    absent: Vec<String>,
    /// Files and folders that must be there afterwards.
    #[serde(default)]
    pub present: Vec<PathBuf>,
    /// Files and folders that must not be there afterwards.
    #[serde(default)]
    pub gone: Vec<PathBuf>,
    /// Texts that no file below `target`, `logs` and `warehouse` may hold afterwards.
    #[serde(default)]
    nowhere: Vec<String>,
}

impl Case {
    pub fn read(folder: &Path) -> Result<Self, Failed> {
        let text = std::fs::read_to_string(folder.join("case.toml"))?;
        Ok(toml::from_str(&text)?)
    }

    pub fn project(&self, root: &Path, folder: &Path) -> PathBuf {
        self.project.as_ref().map_or_else(|| folder.to_path_buf(), |project| root.join(project))
    }

    /// What a call took too much of.
    pub fn excess(&self, output: &Output) -> Vec<String> {
        let Some(limits) = self.limits else { return Vec::new() };
        let mut excess = Vec::new();
        if output.seconds > limits.seconds {
            excess.push(format!("it took {:.1} s, at most {} s are allowed", output.seconds, limits.seconds));
        }
        if output.peak_mib > limits.mib {
            excess.push(format!("it had {} MiB of memory, at most {} are allowed", output.peak_mib, limits.mib));
        }
        excess
    }

    /// What the program has to be told to find the services.
    pub fn service_variables(&self) -> Vec<(String, String)> {
        let needed = |service: &str| self.requires.iter().find(|name| *name == service).and_then(|name| address(name));
        let mut variables = Vec::new();
        if let Some(address) = needed("s3") {
            variables.extend([
                ("AWS_ENDPOINT_URL", format!("http://{address}")),
                ("AWS_ACCESS_KEY_ID", "test".to_string()),
                ("AWS_SECRET_ACCESS_KEY", "test".to_string()),
                ("AWS_REGION", "us-east-1".to_string()),
            ]);
        }
        if let Some((host, port)) = needed("postgres").as_deref().and_then(|address| address.rsplit_once(':')) {
            variables.extend([
                ("PGHOST", host.to_string()),
                ("PGPORT", port.to_string()),
                ("DBT_ENV_SECRET_PGPASSWORD", "headwater-test".to_string()),
            ]);
        }
        variables.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }

    /// Why the case cannot run here, if it cannot.
    pub fn missing_service(&self) -> Option<String> {
        self.requires.iter().find_map(|name| match address(name) {
            None => Some(format!("nobody knows the service `{name}`")),
            Some(address) if answers(&address) => None,
            Some(address) => Some(format!("{name} does not answer at {address}")),
        })
    }
}

/// Where a service is, by the variable that says so or where it usually is.
fn address(service: &str) -> Option<String> {
    let (variable, usual) = match service {
        "postgres" => ("HEADWATER_TEST_POSTGRES", "localhost:5432"),
        "s3" => ("HEADWATER_TEST_S3", "localhost:9000"),
        _ => return None,
    };
    Some(std::env::var(variable).unwrap_or_else(|_| usual.to_string()))
}

fn answers(address: &str) -> bool {
    let Ok(mut addresses) = address.to_socket_addrs() else { return false };
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}

impl Step {
    /// What is wrong with a call's outcome; nothing if all is as it should be.
    pub fn complaints(&self, output: &Output) -> Vec<String> {
        let mut complaints = Vec::new();
        if output.exit != Some(self.exit) {
            let exit = output.exit.map_or_else(|| "a signal".to_string(), |exit| exit.to_string());
            complaints.push(format!("exit code {} was expected, it ended with {exit}", self.exit));
        }
        let both = format!("{}\n{}", output.stdout, output.stderr);
        let missing = |texts: &[String], within: &str, place: &str| -> Vec<String> {
            let missing = texts.iter().filter(|text| !within.contains(text.as_str()));
            missing.map(|text| format!("{place} lacks `{text}`")).collect()
        };
        complaints.extend(missing(&self.stdout, &output.stdout, "standard output"));
        complaints.extend(missing(&self.output, &both, "the output"));
        let unwanted = self.absent.iter().filter(|text| both.contains(text.as_str()));
        complaints.extend(unwanted.map(|text| format!("the output holds `{text}`")));
        complaints
            .extend(self.present.iter().filter(|path| !output.exists(path)).map(|path| format!("{} is missing", path.display())));
        complaints
            .extend(self.gone.iter().filter(|path| output.exists(path)).map(|path| format!("{} is still there", path.display())));
        for folder in ["target", "logs", "warehouse"] {
            complaints.extend(holders(&output.project.join(folder), &self.nowhere));
        }
        complaints
    }
}

/// The files below `folder` that hold one of the texts.
fn holders(folder: &Path, texts: &[String]) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(holders(&path, texts));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let holds = |text: &&String| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            found.extend(texts.iter().filter(holds).map(|text| format!("{} holds `{text}`", path.display())));
        }
    }
    found
}
