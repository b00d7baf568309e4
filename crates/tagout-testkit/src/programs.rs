//! Finding programs of the workspace, which Cargo builds for their own package's tests only.
#![expect(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test without its programs can only fail, and builds them itself"
)]
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::SystemTime,
};

/// The path of `binary`, a program of the workspace's `package`, in the profile of the running
/// test. Builds it when it is missing or older than its sources: those of the whole workspace for
/// `tagout`, which is made of nearly all of it, and the package's own for others.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn program(package: &str, binary: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock();
    let profile_dir = profile_dir();
    let path = profile_dir.join(binary);
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"));
    let sources = if package == "tagout" { crates.to_owned() } else { crates.join(package) };
    let sources = newest(&sources).ok();
    let built = fs::metadata(&path).and_then(|m| m.modified()).ok();
    if built.is_none() || built < sources {
        build(package, binary, &profile_dir);
    }
    assert!(path.is_file(), "cargo built `{binary}` of `{package}` elsewhere than in {path:?}");
    path
}

/// Tests run from `target/PROFILE/deps`, programs from `target/PROFILE`.
fn profile_dir() -> PathBuf {
    let Ok(test) = std::env::current_exe() else { panic!("the test does not know its own path") };
    let dir = test.parent().unwrap_or(Path::new("/"));
    let below = dir.ends_with("deps") || dir.ends_with("examples");
    let dir = if below { dir.parent().unwrap_or(dir) } else { dir };
    dir.to_owned()
}

fn build(package: &str, binary: &str, profile_dir: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--package", package, "--bin", binary]);
    // Where the test itself was built, whatever chose that place.
    cargo.arg("--target-dir").arg(profile_dir.parent().unwrap_or(profile_dir));
    if profile_dir.ends_with("release") {
        cargo.arg("--release");
    }
    match cargo.status() {
        Ok(status) if status.success() => {}
        other => panic!("cannot build `{binary}` of `{package}`: {other:?}"),
    }
}

/// When the newest source below `dir` was written; tests are no sources of a program.
fn newest(dir: &Path) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let this = match entry.file_type()?.is_dir() {
            true if entry.file_name() == "tests" => continue,
            true => self::newest(&entry.path())?,
            false => entry.metadata()?.modified()?,
        };
        newest = newest.max(this);
    }
    Ok(newest)
}
