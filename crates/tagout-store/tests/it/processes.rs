//! Real processes over one file. Each is this test binary, started again for one test that does
//! nothing unless a variable tells it what to do.
use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
};

use tagout_proto::Digest;
use tagout_store::{Answer, Asked, Offering, Quarantined, Question, Settled, Store, Voted};

use crate::{
    private,
    sample::{at, file, fresh, origin, principal, question, vote},
};

const ROLE: &str = "TAGOUT_STORE_TEST_ROLE";
const ROOT: &str = "TAGOUT_STORE_TEST_ROOT";
const ABOUT: &str = "TAGOUT_STORE_TEST_ABOUT";

/// Through a shell, which is the only way to a lax umask without unsafe code.
fn start(role: &str, root: &Path, about: &str) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the test is the process that is started")]
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask 000; exec \"$0\" --exact processes::child --ignored"])
        .arg(std::env::current_exe().unwrap())
        .envs([(ROLE, role), (ABOUT, about)])
        .env(ROOT, root)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a role that other tests start in a process of its own"]
fn child() {
    let (Ok(role), Ok(root), Ok(about)) =
        (std::env::var(ROLE), std::env::var(ROOT), std::env::var(ABOUT))
    else {
        return;
    };
    let root = PathBuf::from(root);
    let store = Store::open(&file(&root)).unwrap();
    match role.as_str() {
        "write" => write(&store),
        "use" => {
            for id in about.split(',') {
                if store.settle(&ended(&store, id), "seal", at(9)).unwrap() {
                    std::fs::write(root.join(format!("{id}.{}", std::process::id())), "").unwrap();
                }
            }
        }
        other => panic!("unknown role {other}"),
    }
}

fn write(store: &Store) {
    let ann = principal("ann");
    for second in 0..100 {
        let id = store.open_conversation(&ann, &origin(), at(second)).unwrap();
        assert!(store.touch(&ann, &id, at(second + 1)).unwrap());
        let asked = question(b"call", second);
        assert_eq!(store.ask(&asked).unwrap(), Asked::Opened);
        let voted = store.vote(&vote(&asked.id, "bob", Answer::Allow, second), &asked, None, None);
        assert_eq!(voted.unwrap(), Voted::Kept);
        assert!(store.settle(&ended(store, asked.id.as_str()), "seal", at(second)).unwrap());
        let text = format!("definition {second}");
        store.remember_definition(Digest::of(text.as_bytes()), &text).unwrap();
        let found = Quarantined {
            server: "grid".parse().unwrap(),
            kind: Offering::Tool,
            name: format!("read-{second}"),
            reason: "definition-changed".to_owned(),
            expected: None,
            got: Digest::of(text.as_bytes()),
            at: at(second),
        };
        store.quarantine(&[(found, &text)]).unwrap();
    }
}

fn ended(store: &Store, id: &str) -> Question {
    let asked = store.question(&id.parse().unwrap()).unwrap().unwrap();
    Question { settled: Some(Settled::Used), seal: "used".to_owned(), ..asked }
}

fn all_succeed(children: Vec<Child>) {
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

/// Made, migrated and written by five processes at once, under a umask that allows everything.
#[test]
fn processes_share_one_file() {
    let root = tempfile::tempdir().unwrap();
    all_succeed((0..5).map(|_| start("write", root.path(), "")).collect());
    let store = Store::open(&file(root.path())).unwrap();
    private::check_modes(root.path());
    let connection = rusqlite::Connection::open(file(root.path())).unwrap();
    let count = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM conversation"), 500);
    assert_eq!(count("SELECT count(*) FROM question WHERE settled <> 'used'"), 0);
    assert_eq!(count("SELECT count(*) FROM definition"), 100);
    assert_eq!(store.quarantined().unwrap().len(), 100);
}

/// Each approval goes to exactly one of the processes that race for it.
#[test]
fn an_approval_goes_to_one_process() {
    let (root, store) = fresh();
    let ids: Vec<String> = (0..60)
        .map(|_| {
            let asked = question(b"call", 1);
            assert_eq!(store.ask(&asked).unwrap(), Asked::Opened);
            asked.id.to_string()
        })
        .collect();
    let about = ids.join(",");
    all_succeed((0..4).map(|_| start("use", root.path(), &about)).collect());
    let mut used: Vec<String> = root
        .path()
        .read_dir()
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.split_once('.').map(|(id, _)| id.to_owned())
        })
        .collect();
    used.sort();
    let mut expected = ids;
    expected.sort();
    assert_eq!(used, expected);
}

/// Threads that share a handle.
#[test]
fn threads_share_one_handle() {
    let (_root, store) = fresh();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| write(&store));
        }
    });
    assert_eq!(store.quarantined().unwrap().len(), 100);
}
