//! A small log to do things to.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tagout_audit::{
    Approval, Begin, Decision, Durability, End, Log, Note, Outcome, PublicKey, Report, Settings,
    Verdict, verify_as_owner,
};
use tagout_proto::{Conversation, Digest, Origin, Principal, ServerName};

/// A directory for a log and its key, and what calls are made of.
pub(crate) struct Sample {
    /// Dropped last.
    pub(crate) root: tempfile::TempDir,
    pub(crate) principal: Principal,
    pub(crate) origin: Origin,
    pub(crate) conversation: Conversation,
    pub(crate) server: ServerName,
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn log_dir(root: &Path) -> PathBuf {
    root.join("state/audit")
}

pub(crate) fn key_file(root: &Path) -> PathBuf {
    root.join("data/keys/audit-head.key")
}

pub(crate) fn open(root: &Path) -> Log {
    Log::open(&log_dir(root), &key_file(root), at(0)).unwrap()
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            principal: Principal {
                user: "ann".into(),
                groups: BTreeSet::from(["operators".to_owned()]),
                authenticated_by: "os-user".into(),
            },
            origin: Origin {
                transport: "stdio".into(),
                client: "test 1.0".into(),
                address: None,
                gateway_pid: 7,
            },
            conversation: Conversation::new("00112233445566778899aabbccddeeff"),
            server: "grid".parse().unwrap(),
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        log_dir(self.root.path())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir().join("log-000001.jsonl")
    }

    pub(crate) fn open(&self) -> Log {
        open(self.root.path())
    }

    pub(crate) fn open_small(&self, segment_bytes: u64) -> Log {
        let settings = Settings { segment_bytes, ..Settings::default() };
        Log::open_with(&self.dir(), &key_file(self.root.path()), settings, at(0)).unwrap()
    }

    pub(crate) fn key(&self) -> PublicKey {
        PublicKey::of_key_file(&key_file(self.root.path())).unwrap()
    }

    pub(crate) fn verify(&self) -> Report {
        verify_as_owner(&self.dir(), &key_file(self.root.path())).unwrap()
    }

    pub(crate) fn begin<'a>(&'a self, second: i64, payload: Option<&'a str>) -> Begin<'a> {
        Begin {
            principal: Some(&self.principal),
            origin: Some(&self.origin),
            conversation: Some(&self.conversation),
            server: Some(&self.server),
            subject: Some("read"),
            definition: Some(Digest::of(b"definition")),
            arguments: payload.map(|text| Digest::of(text.as_bytes())),
            payload,
            ..Begin::new(at(second), "tools/call")
        }
    }

    /// Lines 0 to 9: the first line, a note, two calls of three lines, one of two that stays
    /// open, a note.
    pub(crate) fn write(&self) -> Log {
        let log = self.open();
        log.note(&Note::new(at(1), "gateway-started"), Durability::System).unwrap();
        let entry = log.begin(&self.begin(2, Some("{\"a\":1}")), Durability::System).unwrap();
        entry.decided(&allow(3), Durability::Disk).unwrap();
        assert_eq!(entry.end(&ok(4), Durability::System).unwrap(), 2);
        let entry = log
            .begin_decided(&self.begin(5, Some("{\"b\":2}")), &allow(5), Durability::System)
            .unwrap();
        let refused = End { refusal: Some("policy-denied"), ..End::new(at(6), Outcome::Refused) };
        assert_eq!(entry.end(&refused, Durability::System).unwrap(), 5);
        let open = log.begin(&self.begin(7, None), Durability::System).unwrap();
        assert_eq!(open.number(), 8);
        drop(open);
        let note = Note {
            server: Some(&self.server),
            subject: Some("read"),
            digest: Some(Digest::of(b"new")),
            ..Note::new(at(8), "server-quarantined")
        };
        assert_eq!(log.note(&note, Durability::System).unwrap(), 9);
        log
    }

    /// The lines of the log with their newlines.
    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        let bytes = fs::read(self.file()).unwrap();
        bytes.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect()
    }

    pub(crate) fn put(&self, lines: &[Vec<u8>]) {
        fs::write(self.file(), lines.concat()).unwrap();
    }
}

pub(crate) fn allow(second: i64) -> Decision<'static> {
    let approval = Approval { by: Some("ann"), ..Approval::new("terminal", "allow") };
    Decision {
        at: at(second),
        verdict: Verdict::Ask,
        rule: Some("ask-before-writes"),
        approval: Some(approval),
        policy: None,
        shadow: None,
    }
}

pub(crate) fn ok(second: i64) -> End<'static> {
    End {
        result: Some(Digest::of(b"result")),
        result_bytes: Some(6),
        ..End::new(at(second), Outcome::Ok)
    }
}
