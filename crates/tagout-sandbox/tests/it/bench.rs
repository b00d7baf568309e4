//! What the tests share: a jailer, ways to listen, and patience with a bound.
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::process::Pid;
use tagout_sandbox::{Child, Jailer, Profile, spawn};

/// Far more than anything here takes; only a test that fails waits as long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const PROBE: &str = env!("CARGO_BIN_EXE_jail-probe");

pub(crate) fn jailer() -> Jailer {
    Jailer { binary: PROBE.into() }
}

pub(crate) fn profile(program: &str, args: &[&str]) -> Profile {
    let mut profile = Profile::new(program);
    profile.args = args.iter().map(Into::into).collect();
    profile
}

pub(crate) fn start(profile: &Profile) -> Child {
    spawn(profile, &jailer()).unwrap()
}

pub(crate) fn shell(script: &str) -> Child {
    start(&profile("/bin/sh", &["-c", script]))
}

/// All that comes until the end.
pub(crate) fn all_of(output: Option<OwnedFd>) -> String {
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    File::from(output.unwrap()).take(1 << 20).read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn lines(output: OwnedFd) -> impl Iterator<Item = String> {
    BufReader::new(File::from(output)).lines().map(Result::unwrap)
}

/// The rest of the one line that starts with `key` and a space or tab.
pub(crate) fn field<'a>(report: &'a str, key: &str) -> &'a str {
    let mut found = report.lines().filter_map(|line| line.strip_prefix(key)).map(str::trim_start);
    found.next().unwrap_or_else(|| panic!("no `{key}` in:\n{report}"))
}

pub(crate) fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

pub(crate) fn is_gone(process: Pid) -> bool {
    let status = std::fs::read(format!("/proc/{process}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    // Whoever adopted a zombie may take its time; it runs no more.
    status.is_empty() || field(&status, "State:").starts_with('Z')
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
