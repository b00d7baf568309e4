//! Wheels are held against what their index says is attested of them.
use std::{
    cell::RefCell,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
};

use serde_json::json;
use tagout_supply::{
    Attested, InstallError, Launch, Order, Package, Pending, Runner, Said, Store, TrustRoot,
    install, launch,
};
use tempfile::TempDir;

const ATTESTED: &str = include_str!("../vectors/python-rfc8785-0.1.2.json");
const STAGING: &str = include_str!("../vectors/staging_root.json");
const WHEEL: &[u8] = include_bytes!("../vectors/rfc8785-0.1.2-py3-none-any.whl");
const FILE: &str = "rfc8785-0.1.2-py3-none-any.whl";
/// What pip looks in when nobody tells it anything.
const DEFAULT: &str = "https://index.example";

/// An index on this machine: the project's page, and what is attested. Nothing where it is not there.
#[derive(Clone)]
struct Index {
    page: Option<String>,
    attested: Option<String>,
}

impl Index {
    /// With this place of what is attested of its file.
    fn naming(place: Option<&str>) -> Self {
        let file = json!({"filename": FILE, "provenance": place});
        let page = json!({"meta": {"api-version": "1.3"}, "name": "rfc8785", "files": [file]});
        Self { page: Some(page.to_string()), attested: Some(ATTESTED.to_owned()) }
    }

    fn answer(&self, path: &str, accepts: &str) -> Option<(&str, &'static str)> {
        let (simple, integrity) =
            ("application/vnd.pypi.simple.v1+json", "application/vnd.pypi.integrity.v1+json");
        match path {
            "/simple/rfc8785/" if accepts == simple => Some((self.page.as_deref()?, simple)),
            "/integrity" if accepts == integrity => Some((self.attested.as_deref()?, integrity)),
            _ => None,
        }
    }

    fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                self.one(stream.unwrap());
            }
        });
        address
    }

    fn one(&self, mut stream: TcpStream) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let lines: Vec<_> = lines.map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
        let path = lines[0].split(' ').nth(1).unwrap();
        let accepts = lines.iter().find_map(|line| line.strip_prefix("accept: ")).unwrap();
        let (status, body) = match self.answer(path, accepts) {
            Some((body, _)) => ("200 OK", body),
            None => ("404 Not Found", ""),
        };
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
    }
}

/// Python with pip, which speaks as the real one does: where it looks it says in its second voice.
struct Pip {
    index: SocketAddr,
    /// What its configuration says.
    configured: String,
    wheel: Vec<u8>,
    ran: RefCell<Vec<String>>,
}

impl Pip {
    fn new(index: Index) -> Self {
        let (index, configured) = (index.serve(), String::new());
        Self { index, configured, wheel: WHEEL.to_vec(), ran: RefCell::default() }
    }

    fn download(&self, order: &Order) -> String {
        let after = |name: &str| {
            let at = order.args.iter().position(|word| word == name);
            at.and_then(|at| order.args.get(at + 1))
        };
        fs::write(Path::new(after("--dest").unwrap()).join(FILE), &self.wheel).unwrap();
        let loud = order.args.iter().filter(|word| *word == "-v").count() >= 2;
        let loud = loud || order.args.iter().any(|word| word == "-vv");
        let mut said = "Collecting rfc8785==0.1.2\n".to_owned();
        if let Some(index) = after("--index-url") {
            said.push_str(&format!("Looking in indexes: {index}\n"));
        }
        if loud {
            said.push_str("1 location(s) to search for versions of rfc8785:\n");
            said.push_str(&format!("* {DEFAULT}/simple/rfc8785/\n"));
        }
        said
    }

    fn unpack(&self, order: &Order) {
        let lib = order.cwd.join("lib/python3/site-packages/rfc8785-0.1.2.dist-info");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("entry_points.txt"), "[console_scripts]\nrfc8785 = x:y\n").unwrap();
        fs::write(order.cwd.join("bin/rfc8785"), "#!python\n").unwrap();
    }
}

impl Runner for Pip {
    fn find(&self, name: &str) -> Option<PathBuf> {
        Some(Path::new("/usr/bin").join(name))
    }

    fn run(&self, order: &Order) -> Result<Said, String> {
        let line = order.args.join(" ");
        self.ran.borrow_mut().push(line.clone());
        let is = |word: &str| order.args.iter().any(|arg| arg == word);
        let mut stdout = String::new();
        if is("config") {
            assert!(!is("--isolated") && !order.env.contains_key("PIP_CONFIG_FILE"));
            stdout = self.configured.clone();
        } else if is("download") {
            stdout = self.download(order);
        } else if is("venv") {
            fs::create_dir_all(order.cwd.join("bin")).unwrap();
            symlink("/usr/bin/python3", order.cwd.join("bin/python")).unwrap();
            fs::write(order.cwd.join("pyvenv.cfg"), "").unwrap();
        } else if is("install") {
            self.unpack(order);
        } else {
            assert!(is("compileall"), "{line}");
        }
        Ok(Said { success: true, stdout, stderr: String::new() })
    }

    fn fetch(&self, url: &str, media: &str) -> Result<Option<Vec<u8>>, String> {
        let own = format!("http://{}", self.index);
        let path = url.strip_prefix(DEFAULT).or_else(|| url.strip_prefix(&own));
        let path = path.ok_or_else(|| format!("nobody answers at {url}"))?;
        let mut stream = TcpStream::connect(self.index).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\naccept: {media}\r\n\r\n").unwrap();
        let mut answer = String::new();
        #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
        stream.take(1 << 20).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Ok(head.starts_with("HTTP/1.1 200").then(|| body.as_bytes().to_vec()))
    }
}

fn package(name: &str) -> Package {
    let words = ["uvx", "--from", &format!("{name}==0.1.2"), "rfc8785"].map(str::to_owned);
    match launch(&words) {
        Ok(Launch::Package(package)) => package,
        other => panic!("{other:?}"),
    }
}

fn installed(folder: &TempDir, pip: &Pip) -> Result<Pending, InstallError> {
    named(folder, pip, "rfc8785")
}

fn named(folder: &TempDir, pip: &Pip, name: &str) -> Result<Pending, InstallError> {
    let root = TrustRoot::parse(STAGING, "{\"keys\":[]}").unwrap();
    let store = Store { folder: folder.path(), runner: pip, root: &root, new_publisher: false };
    install(&package(name), store)
}

#[test]
fn what_the_index_attests_is_fetched_and_verified() {
    let own = format!("{DEFAULT}/integrity");
    let pip = Pip::new(Index::naming(Some(&own)));
    let folder = tempfile::tempdir().unwrap();
    let done = installed(&folder, &pip).unwrap();
    let publisher = done.attested.publisher().unwrap();
    assert_eq!(publisher.issuer, "https://github.com/login/oauth");
    done.keep().unwrap();
    assert!(folder.path().join("pypi/rfc8785/publisher.json").is_file());
    // However the name is written, it is that package: one that says nothing of itself is refused.
    drop(done);
    let silent = Pip::new(Index::naming(None));
    let refused = named(&folder, &silent, "RFC8785").unwrap_err();
    assert_eq!(refused.code(), "supply-publisher-changed", "{refused}");
    assert_eq!(fs::read_dir(folder.path().join("pypi")).unwrap().count(), 1);
}

#[test]
fn the_index_that_pip_is_told_of_is_asked_and_nothing_else_of_its_configuration_holds() {
    // Where it listens is known only then.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let index = Index::naming(Some(&format!("http://{address}/integrity")));
    thread::spawn(move || listener.incoming().for_each(|stream| index.one(stream.unwrap())));
    let configured = format!(
        ":env:.cert='/ca.pem'\n:env:.find-links='/opt/wheels'\n:env:.index-url='http://{address}/simple/'\n\
         global.extra-index-url='https://evil.example/'\nglobal.index-url='https://other.example/'\n"
    );
    let pip = Pip { index: address, configured, wheel: WHEEL.to_vec(), ran: RefCell::default() };
    let folder = tempfile::tempdir().unwrap();
    let done = installed(&folder, &pip).unwrap();
    assert!(matches!(done.attested, Attested::Verified(_)), "{:?}", done.attested);
    let ran = pip.ran.borrow();
    let download = ran.iter().find(|line| line.contains(" download ")).unwrap();
    for word in ["--isolated", "--cert /ca.pem", &format!("--index-url http://{address}/simple/")] {
        assert!(download.contains(word), "{word}: {download}");
    }
    assert!(!download.contains("evil") && !download.contains("/opt/wheels"), "{download}");
}

#[test]
fn what_is_attested_has_to_hold() {
    let own = format!("{DEFAULT}/integrity");
    let broken = ATTESTED.replacen("MIIC0zCC", "MIIC0zCD", 1);
    assert_ne!(broken, ATTESTED);
    for attested in [None, Some(broken), Some("{}".to_owned())] {
        let index = Index { attested, ..Index::naming(Some(&own)) };
        let folder = tempfile::tempdir().unwrap();
        let refused = installed(&folder, &Pip::new(index)).unwrap_err();
        assert_eq!(refused.code(), "supply-provenance", "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    // Another wheel than what is attested.
    let mut pip = Pip::new(Index::naming(Some(&own)));
    pip.wheel.push(0);
    let refused = installed(&tempfile::tempdir().unwrap(), &pip).unwrap_err();
    assert_eq!(refused.code(), "supply-provenance", "{refused}");
    // Asked in secret, and told to ask in the open.
    let pip = Pip::new(Index::naming(Some("http://index.example/integrity")));
    let refused = installed(&tempfile::tempdir().unwrap(), &pip).unwrap_err();
    assert_eq!(refused.code(), "supply-provenance", "{refused}");
}

#[test]
fn nothing_attested_and_not_known_are_two_things() {
    let folder = tempfile::tempdir().unwrap();
    let done = installed(&folder, &Pip::new(Index::naming(None))).unwrap();
    assert_eq!(done.attested, Attested::Nothing);
    drop(done);
    let page = |page: Option<&str>| Index { page: page.map(str::to_owned), ..Index::naming(None) };
    for index in [page(None), page(Some("<html>")), page(Some("{\"files\":[]}"))] {
        let done = installed(&folder, &Pip::new(index.clone())).unwrap();
        assert!(matches!(done.attested, Attested::Unknown(_)), "{:?}", done.attested);
        drop(done);
        // Where it is known who releases it, that is no way around.
        let known = tempfile::tempdir().unwrap();
        let own = format!("{DEFAULT}/integrity");
        installed(&known, &Pip::new(Index::naming(Some(&own)))).unwrap().keep().unwrap();
        let refused = installed(&known, &Pip::new(index)).unwrap_err();
        assert_eq!(refused.code(), "supply-provenance", "{refused}");
    }
}

#[test]
fn what_nobody_said_yes_to_goes() {
    let folder = tempfile::tempdir().unwrap();
    let own = format!("{DEFAULT}/integrity");
    let pip = Pip::new(Index::naming(Some(&own)));
    let done = installed(&folder, &pip).unwrap();
    assert!(done.folder.is_dir());
    // Nobody else installs it meanwhile, or takes away what is being asked about.
    assert_eq!(installed(&folder, &pip).unwrap_err().code(), "supply-install");
    drop(done);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // What was there before stays.
    let kept = installed(&folder, &pip).unwrap();
    kept.keep().unwrap();
    let at = kept.folder.clone();
    drop(kept);
    drop(installed(&folder, &pip).unwrap());
    assert!(at.join("bin/python").exists());
}
