//! Real processes over one directory. Each is this test binary, started again for one test that
//! does nothing unless a variable tells it what to do.
use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
};

use tagout_audit::{Durability, Log};

use crate::sample::{Sample, allow, at, key_file, ok, open};

const ROLE: &str = "TAGOUT_AUDIT_TEST_ROLE";
const ROOT: &str = "TAGOUT_AUDIT_TEST_ROOT";

/// A process that plays a role over a directory. Killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    output: BufReader<ChildStdout>,
}

impl Child {
    pub(crate) fn start(role: &str, root: &Path) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the test is the process that is started")]
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .env(ROOT, root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    pub(crate) fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it died before `{word}`");
        }
    }

    pub(crate) fn finish(mut self) -> bool {
        self.process.wait().unwrap().success()
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
#[ignore = "a role that other tests start in a process of its own"]
fn child() {
    let (Ok(role), Ok(root)) = (std::env::var(ROLE), std::env::var(ROOT)) else { return };
    let root = PathBuf::from(root);
    let sample = Sample::new();
    let log = open(&root);
    match role.as_str() {
        "500" => (0..500).for_each(|_| call(&log, &sample)),
        "mid-call" => {
            let begin = sample.begin(1, Some("{\"secret\":1}"));
            let _entry = log.begin_decided(&begin, &allow(1), Durability::System).unwrap();
            println!("ready");
            std::thread::park();
        }
        "endless" => {
            println!("ready");
            loop {
                call(&log, &sample);
            }
        }
        other => panic!("unknown role {other}"),
    }
}

fn call(log: &Log, sample: &Sample) {
    let text = format!("{{\"pid\":{}}}", std::process::id());
    let begin = sample.begin(1, Some(&text));
    let entry = log.begin_decided(&begin, &allow(1), Durability::System).unwrap();
    entry.end(&ok(2), Durability::System).unwrap();
}

/// The log is begun, written and signed by four processes at once; nothing is lost or mixed up.
#[test]
fn four_processes_share_one_log() {
    let sample = Sample::new();
    let children: Vec<Child> = (0..4).map(|_| Child::start("500", sample.root.path())).collect();
    assert!(children.into_iter().all(Child::finish));
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!((report.calls, report.lines), (2000, 6001));
    assert_eq!((report.payloads.present, report.open.len()), (2000, 0));
    assert!(report.notices.is_empty(), "{report}");
    assert_eq!(report.head.map(|head| (head.n, head.uncovered)), Some((6000, 0)));
    check_modes(sample.root.path());
}

/// Threads of one process share a handle, and two handles share a log.
#[test]
fn threads_and_handles_share_one_log() {
    let sample = Sample::new();
    let logs = [sample.open(), sample.open()];
    std::thread::scope(|scope| {
        for log in logs.iter().cycle().take(6) {
            let sample = &sample;
            scope.spawn(move || (0..50).for_each(|_| call(log, sample)));
        }
    });
    let report = sample.verify();
    assert!(report.ok, "{report}");
    assert_eq!(report.calls, 300);
}

/// Nobody else can read anything.
pub(crate) fn check_modes(root: &Path) {
    for directory in [root.join("state/audit"), root.join("data/keys")] {
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn handles_go_anywhere() {
    const fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Log>();
    anywhere::<tagout_audit::Entry>();
    anywhere::<tagout_audit::Reader>();
}

#[test]
fn what_cannot_be_opened_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let opened = Log::open(&file, &key_file(root.path()), at(0));
    assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-unwritable"));
    let report = tagout_audit::verify(&root.path().join("nothing"), None);
    assert_eq!(report.map_err(|e| e.code()).err(), Some("audit-unreadable"));
    // Others could have read the key, so it proves nothing.
    let sample = Sample::new();
    drop(sample.open());
    let key = key_file(sample.root.path());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let opened = Log::open(&sample.dir(), &key, at(0));
    assert_eq!(opened.map_err(|e| e.code()).err(), Some("audit-key"));
}
