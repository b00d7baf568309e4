//! From a server's entry to what its program may see and do.
use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use tagout_sandbox::{EGRESS_PORT, Isolation, Profile, own_files};

use super::program::code;
use crate::config::{Isolated, Sandbox};

/// What of this machine no server may see, and none may put something else in the place of.
#[derive(Clone, Debug, Default)]
pub struct Guarded(pub BTreeSet<PathBuf>);

/// A server's program, isolated as its entry says. Looks at the file system.
///
/// # Errors
/// What it may write holds something that is guarded.
pub fn isolate(
    mut profile: Profile,
    isolated: &Isolated,
    guarded: &Guarded,
) -> Result<Profile, String> {
    let sandbox = match isolated {
        Isolated::Fully(sandbox) => sandbox,
        Isolated::Not => return Ok(profile),
    };
    guarded.stay_out_of(sandbox)?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut read = own_files(&profile.program, &code(&profile), home.as_deref());
    read.extend(sandbox.read.iter().cloned());
    // Where it works it may look around.
    let is_there = |dir: &Path| read.iter().chain(&sandbox.write).any(|seen| dir.starts_with(seen));
    if let Some(dir) = profile.cwd.clone().filter(|dir| !is_there(dir)) {
        read.insert(dir);
    }
    read.retain(|path| !sandbox.write.contains(path));
    let egress = !sandbox.reach.is_empty();
    if egress {
        let proxy = format!("http://127.0.0.1:{EGRESS_PORT}");
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
            profile.env.entry(name.into()).or_insert_with(|| OsString::from(&proxy));
        }
        // Its own loopback is another than this machine's, which it may be let to as well.
        if !sandbox.reach.iter().any(|place| is_loopback(place)) {
            for name in ["NO_PROXY", "no_proxy"] {
                profile.env.entry(name.into()).or_insert_with(|| "localhost,127.0.0.1,::1".into());
            }
        }
        // Without it, Node takes no notice of the others.
        profile.env.entry("NODE_USE_ENV_PROXY".into()).or_insert_with(|| "1".into());
    }
    let isolation = profile.isolation.take().unwrap_or_default();
    profile.isolation = Some(Isolation {
        read,
        write: sandbox.write.clone(),
        hide: guarded.0.clone(),
        system: true,
        egress,
        bounds: sandbox.bounds,
        accepted: sandbox.accepted.clone(),
        ..isolation
    });
    Ok(profile)
}

fn is_loopback(place: &str) -> bool {
    ["localhost:", "127.", "[::1]:"].iter().any(|start| place.starts_with(start))
}

impl Guarded {
    /// Who can write to a folder can put other files in the place of those in it.
    fn stay_out_of(&self, sandbox: &Sandbox) -> Result<(), String> {
        for written in &sandbox.write {
            let real = written.canonicalize().unwrap_or_else(|_| written.clone());
            let holds = |path: &&PathBuf| {
                let own = path.canonicalize().unwrap_or_else(|_| (*path).clone());
                own.starts_with(&real) || real.starts_with(&own)
            };
            if let Some(own) = self.0.iter().find(holds) {
                let (written, own) = (written.display(), own.display());
                return Err(format!("it may write to `{written}`, where Tagout keeps `{own}`"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(write: &[&Path]) -> Isolated {
        let write = write.iter().map(|path| path.to_path_buf()).collect();
        Isolated::Fully(Box::new(Sandbox { write, ..Sandbox::default() }))
    }

    #[test]
    fn nobody_writes_where_rules_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in ["config/tagout", "state", "data", "links"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let rules = root.join("config/tagout/tagout.toml");
        std::fs::write(&rules, "").unwrap();
        std::os::unix::fs::symlink(root.join("config"), root.join("links/c")).unwrap();
        let guarded = Guarded([rules, root.join("state")].into());
        for (write, allowed) in [
            ("data", true),
            ("config", false),
            ("config/tagout", false),
            ("state", false),
            ("state/audit", false),
            ("links/c", false),
            ("", false),
        ] {
            let profile = Profile::new("/usr/bin/true");
            let done = isolate(profile, &sandbox(&[&root.join(write)]), &guarded);
            assert_eq!(done.is_ok(), allowed, "{write}: {done:?}");
        }
    }

    #[test]
    fn the_default_is_the_program_and_its_own_files() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("server.py");
        std::fs::write(&file, "").unwrap();
        let mut profile = Profile::new("/usr/bin/python3");
        profile.args = vec![file.clone().into(), "/etc/passwd".into()];
        let guarded = Guarded::default();
        let isolated = isolate(profile, &sandbox(&[]), &guarded).unwrap().isolation.unwrap();
        assert!(isolated.read.iter().all(|path| file.starts_with(path)), "{isolated:?}");
        assert!(isolated.write.is_empty() && !isolated.egress, "{isolated:?}");
    }

    #[test]
    fn who_may_reach_something_is_told_the_way() {
        let sandbox = Sandbox { reach: ["example.com:443".into()].into(), ..Sandbox::default() };
        let mut profile = Profile::new("/usr/bin/true");
        profile.env.insert("HTTPS_PROXY".into(), "http://own".into());
        let profile =
            isolate(profile, &Isolated::Fully(Box::new(sandbox)), &Guarded::default()).unwrap();
        let value = |name: &str| profile.env.get(std::ffi::OsStr::new(name)).cloned();
        assert_eq!(value("HTTP_PROXY"), Some("http://127.0.0.1:3128".into()));
        assert_eq!(value("HTTPS_PROXY"), Some("http://own".into()));
        assert!(profile.isolation.is_some_and(|isolation| isolation.egress));
    }
}
