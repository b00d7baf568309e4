//! What is seen of a program under observation, and what is proposed for it.
use std::{
    collections::BTreeSet,
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use tagout_sandbox::{Exit, Isolation, Observed, Profile, Proposal, observe, own_files};

use crate::bench::{all_of, jailer, profile, start};

/// A home with a server of its own, data for it, and what is nobody's business.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        // Not in `/tmp`, of which every program has its own.
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("home");
        let home = Self { folder: builder.tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() };
        for (file, text) in [
            (".ssh/id_ed25519", "secret"),
            (".aws/credentials", "secret"),
            (".config/other/settings", "theirs"),
            ("server/package.json", "{}"),
            ("data/one.txt", "1"),
            ("data/two.txt", "2"),
            ("notes/1", ""),
            ("notes/2", ""),
            ("notes/3", ""),
            ("notes/4", ""),
            ("notes/5", ""),
            ("notes/6", ""),
            ("out/old.txt", "old"),
            ("run/pid", ""),
        ] {
            let path = home.at(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        home
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// A program that runs a file of the server's.
    #[expect(clippy::print_stdout, reason = "what is not tried is said")]
    fn server(&self, interpreter: &str, name: &str, code: &str) -> Option<Profile> {
        let path = self.at("server").join(name);
        fs::write(&path, code.replace("HOME", self.root().to_str().unwrap())).unwrap();
        let found = ["/usr/local/bin", "/usr/bin", "/bin"]
            .into_iter()
            .map(|folder| Path::new(folder).join(interpreter))
            .find(|program| program.exists());
        let Some(program) = found else {
            println!("not tried: there is no `{interpreter}` here");
            return None;
        };
        let mut profile = profile(program.to_str()?, &[path.to_str()?]);
        profile.env = [("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())].into();
        let read = own_files(&program, &[path], Some(&self.root()));
        profile.isolation = Some(Isolation { read, system: true, ..Isolation::default() });
        Some(profile)
    }

    fn observe(&self, profile: &Profile) -> (Observed, Proposal, String) {
        let (mut child, observer) = observe(profile, &jailer(), Some(&self.root())).unwrap();
        let said = output(child.stdout.take(), child.stderr.take());
        let exit = child.wait();
        let observed = observer.observed();
        assert!(matches!(exit, Exit::Code(_)), "{exit}: {said}");
        let given = profile.isolation.as_ref().unwrap();
        let proposal = observed.propose(given, Some(&self.root()));
        (observed, proposal, said)
    }

    fn names(&self, paths: &BTreeSet<PathBuf>) -> Vec<String> {
        let root = self.root();
        let name = |path: &PathBuf| path.strip_prefix(&root).unwrap_or(path).display().to_string();
        paths.iter().map(name).collect()
    }
}

fn output(stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) -> String {
    format!("{}{}", all_of(stdout), all_of(stderr))
}

/// With what was proposed, it works, and without it does not.
fn works_with(profile: &Profile, proposal: &Proposal) {
    let mut allowed = profile.clone();
    let run = |profile: &Profile| {
        let mut child = start(profile);
        let said = output(child.stdout.take(), child.stderr.take());
        (child.wait(), said)
    };
    let (exit, said) = run(&allowed);
    assert_ne!(exit, Exit::Code(0), "works without: {said}");
    let isolation = allowed.isolation.as_mut().unwrap();
    isolation.read.extend(proposal.read.iter().cloned());
    isolation.write.extend(proposal.write.iter().cloned());
    let (exit, said) = run(&allowed);
    assert_eq!(exit, Exit::Code(0), "{said}\n{proposal:?}");
}

const SHELL: &str = r#"
set -e
cat HOME/data/one.txt > /dev/null
for note in 1 2 3 4 5 6; do cat HOME/notes/$note; done
cat HOME/.ssh/id_ed25519 2> /dev/null && echo "it has the key"
echo new > HOME/out/new.txt 2> /dev/null || failed=yes
ls /usr > /dev/null
cp HOME/data/one.txt "$TMPDIR/x"
[ -z "$failed" ]
"#;

#[test]
fn a_shells_needs_are_proposed_and_are_enough() {
    let home = Home::new();
    let code =
        SHELL.replace("cat HOME/.ssh/id_ed25519 2> /dev/null && echo \"it has the key\"\n", "");
    let Some(mut profile) = home.server("sh", "run.sh", &code) else { return };
    profile.env.insert("TMPDIR".into(), "/tmp".into());
    let (_, proposal, said) = home.observe(&profile);
    assert_eq!(home.names(&proposal.read), ["data/one.txt", "notes"], "{said} {proposal:?}");
    assert_eq!(home.names(&proposal.write), ["out"], "{said} {proposal:?}");
    assert_eq!(proposal.withheld.len(), 0, "{proposal:?}");
    works_with(&profile, &proposal);
}

#[test]
fn keys_are_neither_seen_nor_proposed() {
    let home = Home::new();
    let code = "cat HOME/.ssh/id_ed25519 HOME/.aws/credentials HOME/.config/other/settings; \
                ls HOME; cat /etc/shadow; echo x > HOME/.bashrc; echo x > HOME/.ssh/authorized_keys";
    let Some(profile) = home.server("sh", "run.sh", code) else { return };
    let (_, proposal, said) = home.observe(&profile);
    assert!(!said.contains("secret"), "{said}");
    assert!(said.contains("theirs"), "{said}");
    assert_eq!(home.names(&proposal.read), [".config/other/settings"]);
    assert_eq!(home.names(&proposal.write), Vec::<String>::new());
    let withheld = home.names(&proposal.withheld.keys().cloned().collect());
    for path in [".ssh/id_ed25519", ".aws/credentials", "", "/etc/shadow", ".bashrc"] {
        assert!(withheld.contains(&path.to_owned()), "{path}: {:?}", proposal.withheld);
    }
}

#[test]
fn pythons_needs_are_proposed_and_are_enough() {
    let home = Home::new();
    let code = r#"
import json, os, pathlib, socket, sqlite3, tempfile
assert pathlib.Path("HOME/data/two.txt").read_text() == "2"
with tempfile.TemporaryFile() as f: f.write(b"x")
failed = []
for step in (
    lambda: open("HOME/out/old.txt", "a"),
    lambda: os.rename("HOME/out/old.txt", "HOME/out/older.txt"),
    lambda: os.makedirs("HOME/out/sub/folder", exist_ok=True),
    lambda: socket.socket(socket.AF_UNIX).bind("HOME/run/s"),
):
    try: step()
    except OSError as e: failed.append(e)
assert not failed, failed
"#;
    let Some(profile) = home.server("python3", "run.py", code) else { return };
    let (_, proposal, said) = home.observe(&profile);
    assert_eq!(home.names(&proposal.read), ["data/two.txt"], "{said} {proposal:?}");
    assert_eq!(home.names(&proposal.write), ["out", "run"], "{said} {proposal:?}");
    works_with(&profile, &proposal);
}

#[test]
fn nodes_needs_are_proposed_and_are_enough() {
    let home = Home::new();
    let code = r#"
const fs = require('fs');
fs.statSync('HOME/data');
fs.readdirSync('HOME/data').forEach(name => fs.readFileSync('HOME/data/' + name));
try { fs.writeFileSync('HOME/out/new.txt', 'x'); } catch (e) { console.log(e); process.exit(1); }
"#;
    let Some(profile) = home.server("node", "run.js", code) else { return };
    let (_, proposal, said) = home.observe(&profile);
    assert_eq!(home.names(&proposal.read), ["data"], "{said} {proposal:?}");
    assert_eq!(home.names(&proposal.write), ["out"], "{said} {proposal:?}");
    works_with(&profile, &proposal);
}

#[test]
fn connections_and_refused_calls_are_noted() {
    let home = Home::new();
    let code = r#"
import ctypes, os, socket
for family, address in [
    (socket.AF_INET, ("10.1.2.3", 443)),
    (socket.AF_INET6, ("2001:db8::1", 80)),
    (socket.AF_UNIX, "/run/docker.sock"),
]:
    try: socket.socket(family, socket.SOCK_STREAM).connect(address)
    except OSError as e: print(e)
try: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
except OSError as e: print(e)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000) == -1 and ctypes.get_errno() == 1
assert libc.ptrace(0, 0, 0, 0) == -1 and ctypes.get_errno() == 1
"#;
    let Some(profile) = home.server("python3", "run.py", code) else { return };
    let (observed, proposal, said) = home.observe(&profile);
    for to in ["10.1.2.3:443", "[2001:db8::1]:80", "unix:/run/docker.sock"] {
        assert!(observed.connect.contains(to), "{to}: {:?} {said}", observed.connect);
    }
    for call in ["socket", "unshare", "ptrace"] {
        assert!(observed.refused.contains_key(call), "{call}: {:?} {said}", observed.refused);
    }
    assert!(proposal.withheld.contains_key(Path::new("/run/docker.sock")), "{proposal:?}");
    assert!(!observed.incomplete);
}

#[test]
fn what_cannot_be_started_is_not_observed() {
    let missing = profile("/nowhere/to/be/found", &[]);
    let error = observe(&missing, &jailer(), None).unwrap_err();
    assert!(error.to_string().contains("/nowhere/to/be/found"), "{error:?}");
}

/// What is read and written becomes the least that a person would want to read through.
#[test]
fn much_of_a_folder_becomes_the_folder_and_little_does_not() {
    let home = Home::new();
    for file in ["app/one/1", "app/two/2", "app/three/3", "app/four/4", "app/five/5", "app/six"] {
        fs::create_dir_all(home.at(file).parent().unwrap()).unwrap();
        fs::write(home.at(file), "").unwrap();
    }
    let all = |names: &[&str]| names.iter().map(|name| home.at(name)).collect::<BTreeSet<_>>();
    let deep = ["app/one/1", "app/two/2", "app/three/3", "app/four/4", "app/five/5"];
    for (read, write, proposed_read, proposed_write) in [
        (
            &["data/one.txt", "data/two.txt"][..],
            &[][..],
            &["data/one.txt", "data/two.txt"][..],
            &[][..],
        ),
        (
            &["notes/1", "notes/2", "notes/3", "notes/4"],
            &[],
            &["notes/1", "notes/2", "notes/3", "notes/4"],
            &[],
        ),
        (&["notes/1", "notes/2", "notes/3", "notes/4", "notes/5"], &[], &["notes"], &[]),
        (&deep, &[], &["app"], &[]),
        // Never somebody's home, however much of it is read.
        (
            &["data", "notes", "out", "app", "server/run", "notes/1"],
            &[],
            &["app", "data", "notes", "out"],
            &[],
        ),
        // What is written is read as well; what is not there is its folder's matter.
        (&["out/old.txt"], &["out/old.txt"], &[], &["out/old.txt"]),
        (&["out/old.txt"], &["out/new.txt"], &[], &["out"]),
        (&[], &["out/deep/er/new.txt"], &[], &["out"]),
        (&[], &["data/__pycache__/x.pyc", "/tmp/anything", "/dev/shm/x"], &[], &[]),
        (&[], &["/usr/lib/x", "/usr/bin/env"], &[], &[]),
    ] {
        let observed = Observed { read: all(read), write: all(write), ..Observed::default() };
        let given = Isolation { read: all(&["server"]), system: true, ..Isolation::default() };
        let proposal = observed.propose(&given, Some(&home.root()));
        assert_eq!(home.names(&proposal.read), proposed_read, "{read:?} {write:?}");
        assert_eq!(home.names(&proposal.write), proposed_write, "{read:?} {write:?}");
    }
}
