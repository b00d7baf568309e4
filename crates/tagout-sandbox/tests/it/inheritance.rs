//! A program gets what its profile names and nothing else.
use std::{collections::BTreeMap, fs::File};

use rustix::io::{FdFlags, fcntl_setfd};
use tagout_sandbox::{Exit, Profile};

use crate::bench::{PROBE, all_of, field, profile, start};

fn report(profile: &Profile) -> String {
    let mut child = start(profile);
    let text = all_of(child.stdout.take());
    assert_eq!(child.wait(), Exit::Code(0), "{text}");
    text
}

/// The number in the kernel's own table: 0 where the session began in an outer PID namespace, which
/// `getsid` of rustix takes for impossible.
fn session_of(process: &str) -> String {
    let stat = std::fs::read(format!("/proc/{process}/stat")).unwrap();
    let stat = String::from_utf8_lossy(&stat);
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').nth(3).unwrap().to_owned()
}

fn probe() -> Profile {
    profile(PROBE, &["report"])
}

fn starting<'a>(report: &'a str, key: &str) -> Vec<&'a str> {
    report.lines().filter_map(|line| line.strip_prefix(key)).collect()
}

#[test]
fn the_environment_is_what_the_profile_names() {
    assert_eq!(starting(&report(&probe()), "env "), Vec::<&str>::new());

    let mut named = probe();
    named.env = BTreeMap::from([("A".into(), "1".into()), ("B".into(), "x=y z".into())]);
    assert_eq!(starting(&report(&named), "env "), ["A=1", "B=x=y z"]);
}

#[test]
fn no_descriptor_is_inherited() {
    let open: Vec<File> = (0..3).map(|_| File::open("/etc/passwd").unwrap()).collect();
    for file in &open {
        fcntl_setfd(file, FdFlags::empty()).unwrap();
    }
    let report = report(&probe());
    let fds = starting(&report, "fd ");
    // The fourth is the one with which the probe lists them.
    assert_eq!(fds.len(), 4, "{fds:?}");
    for number in ["0 pipe:", "1 pipe:", "2 pipe:"] {
        assert_eq!(fds.iter().filter(|fd| fd.starts_with(number)).count(), 1, "{fds:?}");
    }
    assert!(fds.iter().any(|fd| fd.ends_with("/fd")), "{fds:?}");
}

#[test]
fn group_and_session_are_its_own_and_have_no_terminal() {
    let report = report(&probe());
    assert_eq!(field(&report, "group "), field(&report, "Pid:"));
    // Ours may be out of sight, in another PID namespace; the program's is the jailer's, never 0.
    let session = field(&report, "session ");
    assert_ne!(session, "0");
    assert_ne!(session, session_of("self"));
    assert_eq!(field(&report, "terminal "), "false");
}

#[test]
fn signals_privileges_umask_and_directory_are_set() {
    let report = report(&probe());
    assert_eq!(field(&report, "SigBlk:"), "0000000000000000");
    assert_eq!(field(&report, "NoNewPrivs:"), "1");
    assert_eq!(field(&report, "Umask:"), "0077");
    assert_eq!(field(&report, "cwd "), "/");

    let dir = tempfile::tempdir().unwrap();
    let mut elsewhere = probe();
    elsewhere.cwd = Some(dir.path().canonicalize().unwrap());
    assert_eq!(field(&self::report(&elsewhere), "cwd "), elsewhere.cwd.unwrap().to_str().unwrap());
}

/// A gateway under `nohup`, or in a container whose first process ignores signals.
#[test]
fn a_signal_that_the_gateway_ignores_is_not_ignored() {
    let script = format!("trap '' HUP INT; exec {PROBE} gateway /bin/cat /proc/self/status");
    let mut gateway = crate::bench::shell(&script);
    let mut output = crate::bench::lines(gateway.stdout.take().unwrap());
    let ignored = output.find(|line| line.starts_with("SigIgn:")).unwrap();
    assert_eq!(field(&ignored, "SigIgn:"), "0000000000000000");
    gateway.kill();
}

#[test]
fn the_jailer_does_not_show_the_programs_secrets() {
    let mut secretive = profile("/bin/cat", &["an-argument"]);
    secretive.args = vec![];
    secretive.env = BTreeMap::from([("TOKEN".into(), "hunter2".into())]);
    assert!(!format!("{secretive:?}").contains("hunter2"));

    let child = start(&secretive);
    let status = std::fs::read(format!("/proc/{}/status", child.pid())).unwrap();
    let jailer = field(&String::from_utf8(status).unwrap(), "PPid:").to_owned();
    for file in ["environ", "cmdline"] {
        // Unreadable is as good, and is the rule but for the superuser.
        let shown = std::fs::read(format!("/proc/{jailer}/{file}")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&shown).contains("hunter2"), "in {file}");
    }
    child.kill();
}

#[test]
fn long_arguments_arrive() {
    let long = "x".repeat(100_000);
    let mut child = start(&profile(PROBE, &[&["length"], &[long.as_str(); 12][..]].concat()));
    assert_eq!(all_of(child.stdout.take()).trim(), "1200000");
    assert_eq!(child.wait(), Exit::Code(0));
}
