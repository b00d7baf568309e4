//! What is installed is what was attested and locked, or nothing is installed.
use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use sha2::{Digest as _, Sha512};
use tagout_supply::{
    Attested, InstallError, Launch, Order, Package, Pending, Runner, Said, Store, TrustRoot,
    install, launch, verify,
};
use tempfile::TempDir;

const BUILD: &str = include_str!("../vectors/npm-sigstore-2.0.0-provenance.json");
const TARBALL: &[u8] = include_bytes!("../vectors/npm-sigstore-2.0.0.tgz");

/// A package manager and a registry in one, that hold one package.
struct StandIn {
    /// What it names as the package's digest.
    integrity: String,
    /// What is fetched for it.
    tarball: Vec<u8>,
    /// From where, in the lock.
    resolved: &'static str,
    /// What is attested; nothing where it has no attestation.
    attested: Option<Result<Vec<u8>, String>>,
    ran: RefCell<Vec<String>>,
}

fn integrity(of: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(Sha512::digest(of)))
}

fn document() -> Vec<u8> {
    format!("{{\"attestations\":[{{\"bundle\":{BUILD}}}]}}").into_bytes()
}

impl StandIn {
    fn new() -> Self {
        Self {
            integrity: integrity(TARBALL),
            tarball: TARBALL.to_vec(),
            resolved: "https://registry.example/sigstore/-/sigstore-2.0.0.tgz",
            attested: Some(Ok(document())),
            ran: RefCell::default(),
        }
    }

    fn lock(&self, at: &Path) {
        let lock = json!({"lockfileVersion": 3, "packages": {
            "": {"name": "tagout-store"},
            "node_modules/sigstore": {
                "version": "2.0.0", "resolved": self.resolved, "integrity": self.integrity,
            },
        }});
        fs::write(at.join("package-lock.json"), lock.to_string()).unwrap();
    }

    fn unpack(&self, order: &Order) {
        let package = order.cwd.join("node_modules/sigstore");
        fs::create_dir_all(&package).unwrap();
        let manifest = json!({"name": "sigstore", "bin": {"sigstore": "./run.js"}});
        fs::write(package.join("package.json"), manifest.to_string()).unwrap();
        fs::write(package.join("run.js"), "#!/usr/bin/env node\n").unwrap();
        let digest = hex(&Sha512::digest(&self.tarball));
        let kept = Path::new(&order.env["npm_config_cache"]).join("_cacache/content-v2/sha512");
        let (first, rest) = digest.split_at(2);
        let (second, rest) = rest.split_at(2);
        let kept = kept.join(first).join(second);
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join(rest), &self.tarball).unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Runner for StandIn {
    fn find(&self, name: &str) -> Option<PathBuf> {
        Some(Path::new("/usr/bin").join(if name == "node" { "env" } else { name }))
    }

    fn run(&self, order: &Order) -> Result<Said, String> {
        self.ran.borrow_mut().push(order.args.join(" "));
        let mut stdout = String::new();
        match order.args[0].as_str() {
            "config" => stdout = "https://registry.example/\n".to_owned(),
            "install" => self.lock(&order.cwd),
            "ci" => self.unpack(order),
            "view" => {
                let url = "https://registry.example/attestations/sigstore@2.0.0";
                let attested = self.attested.as_ref().map(|_| json!({"url": url}));
                stdout = json!({"tarball": self.resolved, "attestations": attested}).to_string();
            }
            other => panic!("{other}"),
        }
        Ok(Said { success: true, stdout, stderr: String::new() })
    }

    fn fetch(&self, url: &str, _: &str) -> Result<Option<Vec<u8>>, String> {
        assert_eq!(url, "https://registry.example/attestations/sigstore@2.0.0");
        self.attested.clone().transpose()
    }
}

fn package() -> Package {
    let words = ["npx", "-y", "sigstore@2.0.0", "--flag"].map(str::to_owned);
    match launch(&words) {
        Ok(Launch::Package(package)) => package,
        other => panic!("{other:?}"),
    }
}

fn installed(
    folder: &TempDir,
    runner: &StandIn,
    new_publisher: bool,
) -> Result<Pending, InstallError> {
    let root = TrustRoot::committed().unwrap();
    let store = Store { folder: folder.path(), runner, root: &root, new_publisher };
    let done = install(&package(), store);
    // Whatever came of it, nothing half done is left.
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert!(left.filter(|name| name.starts_with(".new")).count() == 0);
    done
}

#[test]
fn a_package_is_installed_with_what_is_attested_of_it() {
    let (folder, npm) = (tempfile::tempdir().unwrap(), StandIn::new());
    let done = installed(&folder, &npm, false).unwrap();
    let publisher = done.attested.publisher().unwrap();
    assert_eq!(publisher.repository.as_deref(), Some("https://github.com/sigstore/sigstore-js"));
    let script = done.folder.join("node_modules/sigstore/run.js");
    assert_eq!(done.command.len(), 3);
    assert_eq!(
        (done.command[1].as_str(), done.command[2].as_str()),
        (script.to_str().unwrap(), "--flag")
    );
    verify(&done.folder).unwrap();
    done.keep().unwrap();
    let at = done.folder.clone();
    drop(done);
    assert_eq!(installed(&folder, &npm, false).unwrap().folder, at);
    let ran = npm.ran.borrow();
    for step in ran.iter().filter(|step| !step.starts_with("view") && !step.starts_with("config")) {
        assert!(step.contains("--ignore-scripts"), "{step}");
    }
}

/// Makes something of a stand-in wrong.
type Change = fn(&mut StandIn);

#[test]
fn what_is_not_as_its_digest_says_is_not_installed() {
    let wrong: [(Change, &str); 9] = [
        (|npm| npm.tarball.push(0), "supply-integrity"),
        (|npm| npm.integrity = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=".to_owned(), "supply-integrity"),
        (|npm| npm.integrity = String::new(), "supply-integrity"),
        (|npm| npm.resolved = "git+ssh://git@example.com/x.git", "supply-integrity"),
        (|npm| npm.resolved = "https://elsewhere.example/x.tgz", "supply-integrity"),
        (|npm| npm.resolved = "http://registry.example/x.tgz", "supply-integrity"),
        (|npm| npm.resolved = "https://registry.example.evil.example/x.tgz", "supply-integrity"),
        (|npm| npm.resolved = "https://registry.example@evil.example/x.tgz", "supply-integrity"),
        // Another package than what is attested, with a digest of its own.
        (
            |npm| {
                npm.tarball.push(0);
                npm.integrity = integrity(&npm.tarball);
            },
            "supply-provenance",
        ),
    ];
    for (change, code) in wrong {
        let (folder, mut npm) = (tempfile::tempdir().unwrap(), StandIn::new());
        change(&mut npm);
        let refused = installed(&folder, &npm, false).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(!folder.path().join("npm").exists());
    }
}

#[test]
fn attestations_that_are_there_have_to_hold() {
    let broken = String::from_utf8(document()).unwrap().replacen("MEQCIFWr", "MEQCIFWs", 1);
    for attested in [
        Err("nobody answers".to_owned()),
        Ok(b"{}".to_vec()),
        Ok(Vec::new()),
        Ok(broken.into_bytes()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let npm = StandIn { attested: Some(attested), ..StandIn::new() };
        let refused = installed(&folder, &npm, false).unwrap_err();
        assert_eq!(refused.code(), "supply-provenance", "{refused}");
    }
}

#[test]
fn another_publisher_than_before_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bare = StandIn { attested: None, ..StandIn::new() };
    // Nothing is known of it yet, and nothing is attested: that is said, and no more.
    assert_eq!(installed(&folder, &bare, false).unwrap().attested, Attested::Nothing);
    installed(&folder, &StandIn::new(), false).unwrap().keep().unwrap();
    let refused = installed(&folder, &bare, false).unwrap_err();
    assert_eq!(refused.code(), "supply-publisher-changed", "{refused}");
    installed(&folder, &bare, true).unwrap();
    // One that says who it is from, and is from somebody else.
    let known = folder.path().join("npm/sigstore/publisher.json");
    let text = fs::read(&known).unwrap();
    let text =
        String::from_utf8(text).unwrap().replace("sigstore/sigstore-js", "mallory/sigstore-js");
    fs::write(&known, text).unwrap();
    let refused = installed(&folder, &StandIn::new(), false).unwrap_err();
    assert_eq!(refused.code(), "supply-publisher-changed", "{refused}");
    installed(&folder, &StandIn::new(), true).unwrap().keep().unwrap();
    installed(&folder, &StandIn::new(), false).unwrap();
}
