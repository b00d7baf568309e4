//! Runs the fuzz targets, one after the other.
use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::root;

const TARGETS: &[&str] = &[
    "reader",
    "headers",
    "state",
    "sse",
    "shape",
    "assertion",
    "models",
    "markdown",
    "egress",
    "pipeline",
];
/// Where new inputs go, relative to the repository.
const FOUND: &str = "target/fuzz-found";
/// Where the fuzzer leaves what breaks something.
const ARTIFACTS: &str = "fuzz/artifacts";
/// How the fuzzer says how often it ran.
const RUNS: &str = "stat::number_of_executed_units:";
/// How much of what it says is read.
const END_BYTES: u64 = 64 << 10;

/// What the command line says.
pub(crate) struct Options {
    /// How long each target runs.
    seconds: u32,
    target: Option<&'static str>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { seconds: 60, target: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next().copied().unwrap_or_default();
            match *word {
                "--minutes" => options.seconds = seconds(value, 60.0)?,
                "--seconds" => options.seconds = seconds(value, 1.0)?,
                "--target" => {
                    let known = TARGETS.iter().find(|target| **target == value);
                    let wrong = format!("`{value}` is none of {}", TARGETS.join(", "));
                    options.target = Some(known.ok_or(wrong)?);
                }
                word => return Err(format!("`{word}` is no option of this")),
            }
        }
        Ok(options)
    }
}

fn seconds(value: &str, each: f64) -> Result<u32, String> {
    let number: f64 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
    let seconds = (number * each).round();
    if !(1.0..=86_400.0).contains(&seconds) {
        return Err(format!("`{value}` is not between a second and a day"));
    }
    // In range, and whole.
    format!("{seconds:.0}").parse().map_err(|_| format!("`{value}` is no time"))
}

/// Runs them, and says how often each ran and what it found.
pub(crate) fn fuzz(options: &Options) -> Result<String, String> {
    let targets = TARGETS.iter().filter(|one| options.target.is_none_or(|only| only == **one));
    let (mut said, mut all_is_well) = (String::new(), true);
    for target in targets {
        let Run { runs, findings, ended_well } = run(target, options.seconds)?;
        let left = format!("{FOUND}/{target}.log");
        let runs = runs.map_or_else(|| "unknown".to_owned(), |runs| runs.to_string());
        said.push_str(&format!("{target}: {runs} runs, {} findings\n", findings.len()));
        for finding in &findings {
            said.push_str(&format!("  {}\n", finding.display()));
        }
        if !ended_well {
            said.push_str(&format!("  it ended early; see {left}\n"));
        }
        all_is_well &= ended_well && findings.is_empty();
    }
    if all_is_well { Ok(said) } else { Err(said) }
}

/// What one target's run came to.
struct Run {
    runs: Option<u64>,
    findings: Vec<PathBuf>,
    ended_well: bool,
}

fn run(target: &str, seconds: u32) -> Result<Run, String> {
    let root = root();
    let (found, log) =
        (root.join(FOUND).join(target), root.join(FOUND).join(format!("{target}.log")));
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    fs::create_dir_all(&found).map_err(failed(&found))?;
    let said = fs::File::create(&log).map_err(failed(&log))?;
    let before = artifacts(target);
    #[expect(clippy::disallowed_methods, reason = "a chore of the repository, not the gateway")]
    let mut command = Command::new("cargo");
    command
        .args(["fuzz", "run", "--sanitizer", "none", target])
        .arg(&found)
        .arg(root.join("fuzz/corpus").join(target))
        .args(["--", &format!("-max_total_time={seconds}"), "-print_final_stats=1", "-verbosity=0"])
        // The instrumentation is a flag of the nightly compiler; this lets the stable one take it.
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(&root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said);
    let ended_well = command.status().map_err(failed(Path::new("cargo fuzz")))?.success();
    let said = end_of(&log).map_err(failed(&log))?;
    let runs = said.lines().rev().find_map(|line| line.strip_prefix(RUNS)?.trim().parse().ok());
    let mut findings = artifacts(target);
    findings.retain(|finding| !before.contains(finding));
    if runs.is_none() && findings.is_empty() {
        let end: Vec<_> = said.lines().rev().take(8).collect();
        let end: Vec<_> = end.into_iter().rev().collect();
        return Err(format!("{target} did not run:\n{}", end.join("\n")));
    }
    Ok(Run { runs, findings, ended_well })
}

/// The end of a file. A fuzzer may say much, and shows inputs as they are.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES)))?;
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    file.take(END_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What was found, now or before.
fn artifacts(target: &str) -> Vec<PathBuf> {
    let folder = root().join(ARTIFACTS).join(target);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
