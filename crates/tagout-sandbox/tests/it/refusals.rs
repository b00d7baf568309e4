//! What cannot be started, and how that is said.
use std::{
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use tagout_sandbox::{Jailer, Profile, SpawnError, resolve, spawn};

use crate::bench::{jailer, profile};

fn refusal(profile: &Profile) -> SpawnError {
    spawn(profile, &jailer()).unwrap_err()
}

fn file(path: &Path, mode: u32) {
    fs::write(path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_missing_program_is_told_from_a_missing_directory() {
    let error = refusal(&profile("/nowhere/to/be/found", &[]));
    assert_eq!(error.to_string(), "cannot execute `/nowhere/to/be/found`");
    assert!(
        matches!(&error, SpawnError::Exec { source, .. } if source.kind() == ErrorKind::NotFound)
    );

    let mut lost = profile("/bin/sh", &[]);
    lost.cwd = Some("/nowhere".into());
    let error = refusal(&lost);
    assert_eq!(error.to_string(), "cannot enter the working directory `/nowhere`");
}

#[test]
fn what_may_not_be_executed_keeps_its_error_number() {
    let error = refusal(&profile("/etc/passwd", &[]));
    let SpawnError::Exec { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::PermissionDenied);

    let long = "x".repeat(1 << 18);
    let error = refusal(&profile("/bin/echo", &[&long]));
    let SpawnError::Exec { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::ArgumentListTooLong);
}

#[test]
fn a_profile_that_would_be_misread_is_refused() {
    assert!(matches!(refusal(&profile("sh", &[])), SpawnError::NotAbsolute { .. }));
    assert!(matches!(refusal(&profile("/bin/echo", &["a\0b"])), SpawnError::ZeroByte));
    for name in ["", "A=B", "A\0"] {
        let mut odd = profile("/bin/echo", &[]);
        odd.env.insert(OsString::from(name), "value".into());
        assert!(matches!(refusal(&odd), SpawnError::VariableName { .. }), "{name:?}");
    }
}

#[test]
fn a_jailer_must_be_one() {
    let sh = profile("/bin/sh", &[]);
    let error = spawn(&sh, &Jailer { binary: "/bin/true".into() }).unwrap_err();
    assert!(matches!(error, SpawnError::NotAJailer { .. }), "{error:?}");
    let error = spawn(&sh, &Jailer { binary: "/nowhere".into() }).unwrap_err();
    assert!(matches!(error, SpawnError::Jailer { .. }), "{error:?}");
}

#[test]
fn programs_are_found_as_a_shell_finds_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for sub in ["one", "two", "one/directory"] {
        fs::create_dir(at(sub)).unwrap();
    }
    file(&at("one/plain"), 0o644);
    file(&at("two/plain"), 0o755);
    file(&at("one/dull"), 0o644);
    file(&at("here"), 0o755);
    symlink("plain", at("two/link")).unwrap();
    let search = format!("{}:two:", at("one").display());
    let found = |name: &str| resolve(OsStr::new(name), OsStr::new(&search), dir.path());

    assert_eq!(found("plain").unwrap(), at("two/plain"), "the first that may be executed");
    assert_eq!(found("link").unwrap(), at("two/link"), "links are kept");
    assert_eq!(found("here").unwrap(), at("here"), "an empty entry is the working directory");
    assert_eq!(found("./two/plain").unwrap(), at("two/plain"));
    assert_eq!(found("/bin/sh").unwrap(), Path::new("/bin/sh"));
    for refused in ["dull", "directory", "./one/dull"] {
        let error = found(refused).unwrap_err();
        assert!(matches!(error, SpawnError::NotExecutable { .. }), "{refused}: {error:?}");
    }
    for missing in ["", "absent", "./absent", "/nowhere/absent"] {
        let error = found(missing).unwrap_err();
        assert!(matches!(error, SpawnError::NotFound { .. }), "{missing}: {error:?}");
    }
}
