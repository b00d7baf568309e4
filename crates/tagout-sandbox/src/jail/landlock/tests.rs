use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    net::{TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{PermissionsExt, symlink},
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    path::Path,
    process::Command,
    thread,
};

use super::*;

/// Runs what is asked under rules, in a thread, since rules hold for the thread that took them.
fn under<T: Send>(rules: Rules, attempts: impl FnOnce() -> T + Send) -> T {
    let restricted = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        restrict(&rules).unwrap();
        attempts()
    };
    thread::scope(|scope| scope.spawn(restricted).join().unwrap())
}

/// Whether this kernel can show what a test is about.
fn has(part: Part) -> bool {
    let has = Abi::of_kernel().has(part);
    if !has {
        println!("not tried: Landlock of version {} has no {part}", Abi::of_kernel().number());
    }
    has
}

/// Which parts are left, when all others are off.
fn only(part: Part) -> BTreeSet<Part> {
    let all = [Part::LandlockFiles, Part::LandlockNetwork, Part::LandlockScopes];
    all.into_iter().filter(|one| *one != part).collect()
}

fn verdict<T>(done: std::io::Result<T>) -> &'static str {
    match done.map_err(|e| e.kind()) {
        Ok(_) => "done",
        Err(ErrorKind::PermissionDenied | ErrorKind::CrossesDevices) => "refused",
        Err(_) => "failed",
    }
}

fn run(program: &Path) -> std::io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "whether it may be executed is the question")]
    Command::new(program).status().map(|_| ())
}

#[test]
fn files_are_read_written_and_executed_where_that_is_allowed() {
    if !has(Part::LandlockFiles) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["read", "only", "write", "write/sub", "hidden", "listed"] {
        fs::create_dir(at(folder)).unwrap();
    }
    for file in ["read/a", "only/a", "write/a", "write/sub/b", "hidden/a", "listed/a"] {
        fs::copy("/bin/true", at(file)).unwrap();
        fs::set_permissions(at(file), fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink(at("hidden/a"), at("write/link")).unwrap();
    let system = ["/usr", "/bin", "/lib", "/lib64"].map(Path::new).into_iter();
    let mut files: BTreeMap<PathBuf, Access> = system
        .filter(|path| path.exists())
        .map(|path| (path.to_owned(), Access::ReadExecute))
        .collect();
    files.insert("/proc".into(), Access::Read);
    files.insert("/dev/null".into(), Access::Device);
    files.insert(at("read"), Access::ReadExecute);
    files.insert(at("only/a"), Access::Read);
    files.insert(at("write"), Access::ReadWrite);
    files.insert(at("listed"), Access::List);
    let rules = Rules { files, off: only(Part::LandlockFiles), ..Rules::default() };

    let found = under(rules, || {
        [
            ("read what may be read", verdict(fs::read(at("read/a")))),
            ("list it", verdict(fs::read_dir(at("read")))),
            ("execute it", verdict(run(&at("read/a")))),
            ("write it", verdict(fs::write(at("read/a"), "x"))),
            ("remove it", verdict(fs::remove_file(at("read/a")))),
            ("make a file beside it", verdict(fs::write(at("read/b"), "x"))),
            ("empty it", verdict(fs::File::create(at("read/a")))),
            ("read a file", verdict(fs::read(at("only/a")))),
            ("execute that file", verdict(run(&at("only/a")))),
            ("list its folder", verdict(fs::read_dir(at("only")))),
            ("list what may only be listed", verdict(fs::read_dir(at("listed")))),
            ("read a file there", verdict(fs::read(at("listed/a")))),
            ("write where it may be written", verdict(fs::write(at("write/new"), "x"))),
            ("make a folder", verdict(fs::create_dir(at("write/folder")))),
            ("move within", verdict(fs::rename(at("write/sub/b"), at("write/folder/b")))),
            ("make a socket", verdict(UnixListener::bind(at("write/socket")))),
            ("make a link", verdict(symlink("x", at("write/other")))),
            ("execute there", verdict(run(&at("write/a")))),
            ("through a link out", verdict(fs::read(at("write/link")))),
            ("move in what may be executed", verdict(fs::rename(at("read/a"), at("write/c")))),
            ("link it in", verdict(fs::hard_link(at("read/a"), at("write/c")))),
            ("move out", verdict(fs::rename(at("write/new"), at("read/new")))),
            ("read what is not named", verdict(fs::read(at("hidden/a")))),
            ("list it all", verdict(fs::read_dir("/"))),
            ("read a password file", verdict(fs::read("/etc/passwd"))),
            ("read of processes", verdict(fs::read("/proc/self/stat"))),
            ("write to them", verdict(fs::write("/proc/self/comm", "x"))),
            ("write to a device", verdict(fs::write("/dev/null", "x"))),
            ("read another device", verdict(fs::File::open("/dev/zero"))),
        ]
    });
    check(&found);
}

/// The one table of what is expected, in the order of the attempts.
fn check(found: &[(&str, &str)]) {
    let refused = [
        "write it",
        "remove it",
        "make a file beside it",
        "empty it",
        "execute that file",
        "list its folder",
        "read a file there",
        "execute there",
        "through a link out",
        "move in what may be executed",
        "link it in",
        "move out",
        "read what is not named",
        "list it all",
        "read a password file",
        "write to them",
        "read another device",
    ];
    for (attempt, verdict) in found {
        let expected = if refused.contains(attempt) { "refused" } else { "done" };
        assert_eq!(*verdict, expected, "{attempt}");
    }
}

#[test]
fn tcp_goes_to_named_ports_only() {
    if !has(Part::LandlockNetwork) {
        return;
    }
    let [named, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let connect = |port| verdict(TcpStream::connect(("127.0.0.1", port)));
    let bind = || verdict(TcpListener::bind("127.0.0.1:0"));
    for (may_bind, bound) in [(true, "done"), (false, "refused")] {
        let rules = Rules {
            connect: BTreeSet::from([port(&named)]),
            bind: may_bind,
            off: only(Part::LandlockNetwork),
            ..Rules::default()
        };
        let found = under(rules, || (connect(port(&named)), connect(port(&other)), bind()));
        assert_eq!(found, ("done", "refused", bound));
    }
}

#[test]
fn abstract_sockets_and_signals_stay_inside() {
    if !has(Part::LandlockScopes) {
        return;
    }
    let name = format!("tagout-landlock-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let parent = rustix::process::getppid();
    let rules = Rules { off: only(Part::LandlockScopes), ..Rules::default() };
    let attempts = || {
        let connected = verdict(UnixStream::connect_addr(&address));
        // In a PID namespace the parent may be out of sight.
        let signalled = parent.map(|parent| rustix::process::test_kill_process(parent).is_err());
        (connected, signalled)
    };
    assert_eq!(attempts(), ("done", parent.map(|_| false)));
    assert_eq!(under(rules, attempts), ("refused", parent.map(|_| true)));
}

#[test]
fn what_is_off_is_not_restricted() {
    let all = [Part::LandlockFiles, Part::LandlockNetwork, Part::LandlockScopes];
    let rules = Rules { off: all.into(), ..Rules::default() };
    assert_eq!(under(rules, || verdict(fs::read("/etc/passwd"))), "done");
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    if !has(Part::LandlockFiles) {
        return;
    }
    let files = BTreeMap::from([("/nowhere".into(), Access::Read)]);
    let error = restrict(&Rules { files, ..Rules::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// Every version asks only for what it knows; and what it knows is never less than before.
#[test]
fn older_versions_do_what_they_can() {
    let of = |version| {
        let Handled { files, network, scopes } = Rules::default().handled(Abi(version));
        (files.count_ones(), network.count_ones(), scopes.count_ones())
    };
    let expected = [(1, (13, 0, 0)), (2, (14, 0, 0)), (3, (15, 0, 0)), (4, (15, 2, 0))];
    for (version, bits) in expected.into_iter().chain([(5, (16, 2, 0)), (6, (16, 2, 2))]) {
        assert_eq!(of(version), bits, "version {version}");
    }
    let parts = [Part::LandlockFiles, Part::LandlockNetwork, Part::LandlockScopes];
    let missing = |version| parts.into_iter().filter(|part| !Abi(version).has(*part)).count();
    assert_eq!([0, 2, 3, 4, 6, 7].map(missing), [3, 3, 2, 1, 0, 0]);
}
