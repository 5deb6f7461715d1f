//! The built binary, in a fresh copy of a project, with nothing of the caller's environment that could change what it does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use libtest_mimic::Failed;

use super::case::Step;
use super::text;

/// What is in a case's folder besides its project.
const NOT_PROJECT: [&str; 2] = ["expected", "case.toml"];
/// What runs leave in a project that is a folder of the repository.
const MADE_BY_RUNS: [&str; 6] = ["data", "target", "warehouse", ".headwater", "logs", "dbt_packages"];
/// All of the caller's environment that a program gets to see: what the system needs to run one at all.
const KEPT_VARIABLES: [&str; 6] = ["PATH", "LD_LIBRARY_PATH", "SystemRoot", "TMPDIR", "LANG", "LLVM_PROFILE_FILE"];

pub struct Program {
    binary: PathBuf,
    /// The copy of the project, where it runs.
    pub project: PathBuf,
    home: PathBuf,
    /// Variables that say where the services are.
    services: Vec<(String, String)>,
}

/// What a call left behind, with texts normalised.
pub struct Output {
    pub args: Vec<String>,
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub project: PathBuf,
    /// Time on processors; 0 where the system does not tell.
    pub seconds: f64,
    /// Anonymous memory at its peak, as far as it was seen.
    pub peak_mib: u64,
}

impl Output {
    pub fn exists(&self, path: &Path) -> bool {
        self.project.join(path).exists()
    }
}

impl Program {
    /// Copies `source` to `<place>/project`.
    pub fn prepare(binary: &Path, place: &Path, source: &Path, services: Vec<(String, String)>) -> Result<Self, Failed> {
        // Links resolved: the program may print either form of a path.
        let place = place.canonicalize()?;
        let (project, home) = (place.join("project"), place.join("home"));
        fs::create_dir_all(&home)?;
        fs::create_dir_all(&project)?;
        let left_out: &[&str] = if source.join("case.toml").exists() { &NOT_PROJECT } else { &MADE_BY_RUNS };
        let files = walkdir::WalkDir::new(source).min_depth(1).into_iter();
        let wanted = files.filter_entry(|entry| entry.depth() > 1 || !left_out.iter().any(|name| entry.file_name() == *name));
        for entry in wanted {
            let entry = entry?;
            let target = project.join(entry.path().strip_prefix(source)?);
            match entry.file_type().is_dir() {
                true => fs::create_dir_all(target)?,
                false => fs::copy(entry.path(), target).map(|_| ())?,
            }
        }
        Ok(Self { binary: binary.to_path_buf(), project, home, services })
    }

    pub fn step(&self, step: &Step) -> Result<Output, Failed> {
        for (path, content) in &step.write {
            let path = self.project.join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            fs::write(path, content)?;
        }
        for (path, fill) in &step.fill {
            let path = self.project.join(path);
            path.parent().map(fs::create_dir_all).transpose()?;
            fs::write(path, fill.content())?;
        }
        #[cfg(unix)]
        for (path, target) in &step.link {
            std::os::unix::fs::symlink(target, self.project.join(path))?;
        }
        for path in &step.remove {
            fs::remove_file(self.project.join(path))?;
        }
        self.call(&step.args, &step.env)
    }

    pub fn call(&self, args: &[String], env: &BTreeMap<String, String>) -> Result<Output, Failed> {
        let kept = KEPT_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = Command::new(&self.binary)
            .args(args)
            .current_dir(&self.project)
            .env_clear()
            .envs(kept)
            .env("HOME", &self.home)
            .envs(self.services.iter().map(|(name, value)| (name, value)))
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", self.binary.display()))?;
        let watch = watch(child.id());
        let output = child.wait_with_output()?;
        let (seconds, peak_mib) = watch.join().unwrap_or_default();
        Ok(Output {
            args: args.to_vec(),
            exit: output.status.code(),
            stdout: text::normalize(&String::from_utf8_lossy(&output.stdout), &self.project),
            stderr: text::normalize(&String::from_utf8_lossy(&output.stderr), &self.project),
            project: self.project.clone(),
            seconds,
            peak_mib,
        })
    }
}

/// Looks at a process until it is gone: its time on processors in seconds, and the most memory of its own it had, in MiB.
fn watch(process: u32) -> JoinHandle<(f64, u64)> {
    std::thread::spawn(move || {
        let (mut seconds, mut peak) = (0.0, 0);
        // A process that ended and was not waited for yet has no such line any more.
        while let Some(kib) = anonymous_kib(process) {
            peak = peak.max(kib / 1024);
            seconds = cpu_seconds(process).unwrap_or(seconds);
            std::thread::sleep(Duration::from_millis(10));
        }
        (seconds, peak)
    })
}

fn anonymous_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// User and system time, in the hundredths of a second that Linux counts for programs.
fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
