//! From a server's entry to what its program may see and do.
use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use tagout_sandbox::{EGRESS_PORT, Isolation, Profile, is_shared, own_files, way_of};

use super::program::given_code;
use crate::config::{Config, Isolated, Sandbox};

/// What of this machine is guarded from servers.
#[derive(Clone, Debug, Default)]
pub struct Guarded {
    /// What none may see, and none may put something else in the place of.
    own: BTreeSet<PathBuf>,
    /// What some may write, where no link leads a server anywhere.
    written: BTreeSet<PathBuf>,
}

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
    let (sources, alone) = given_code(&profile);
    let mut read = own_files(&profile.program, &sources, home.as_deref());
    read.extend(alone.into_iter().chain(sandbox.read.iter().cloned()));
    let mut empty = BTreeSet::new();
    let is_there = |dir: &Path| read.iter().chain(&sandbox.write).any(|seen| dir.starts_with(seen));
    if let Some(dir) = profile.cwd.clone().filter(|dir| !is_there(dir)) {
        // Where it works it may look around, unless all kinds of things are there.
        let into = if is_shared(&dir, home.as_deref()) { &mut empty } else { &mut read };
        into.insert(dir);
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
        hide: guarded.own.clone(),
        empty,
        unlinked: guarded.written.clone(),
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
    /// `own` is what belongs to the gateway itself; `config` says what servers may write.
    #[must_use]
    pub fn of(own: BTreeSet<PathBuf>, config: &Config) -> Self {
        let mut written = BTreeSet::new();
        for server in config.servers.values() {
            match &server.isolated {
                Isolated::Fully(sandbox) => written.extend(sandbox.write.iter().cloned()),
                Isolated::Not => {}
            }
        }
        Self { own, written }
    }

    /// Who can write to a folder can put other files in the place of those in it; or where they
    /// will be, should they not be there yet.
    fn stay_out_of(&self, sandbox: &Sandbox) -> Result<(), String> {
        for written in &sandbox.write {
            let real = way_of(written).end;
            let holds = |path: &&PathBuf| {
                let way = way_of(path);
                let leads_there = way.links.keys().any(|link| link.starts_with(&real));
                leads_there || way.end.starts_with(&real) || real.starts_with(&way.end)
            };
            if let Some(own) = self.own.iter().find(holds) {
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
        // What is not there yet, by a link that leads to what is not there either.
        std::os::unix::fs::symlink(root.join("data"), root.join("links/d")).unwrap();
        std::os::unix::fs::symlink(root.join("far/off"), root.join("links/ahead")).unwrap();
        std::fs::create_dir(root.join("far")).unwrap();
        let later = [root.join("links/d/later/state"), root.join("links/ahead/keys")];
        let own = [rules, root.join("state")].into_iter().chain(later).collect();
        let guarded = Guarded { own, written: BTreeSet::new() };
        for (write, allowed) in [
            ("elsewhere", true),
            ("data/other", true),
            ("data", false),
            ("data/later", false),
            ("links/d/later", false),
            ("links", false),
            ("far", false),
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

    /// A file that comes after the code itself is data, unless it says otherwise.
    #[test]
    fn data_is_not_taken_for_the_sources_of_a_server() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let files = [
            ("mine/package.json", "{}"),
            ("mine/notes", "data"),
            ("mine/run", "#!/bin/sh\n"),
            ("mine/app.py", ""),
        ];
        std::fs::create_dir(root.join("mine")).unwrap();
        for (name, text) in files {
            std::fs::write(root.join(name), text).unwrap();
        }
        for (program, args, given) in [
            ("/usr/bin/python3", &["-c", "pass", "mine/notes"][..], &[][..]),
            ("/usr/bin/python3", &["-Im", "server", "mine/notes"], &[]),
            ("/usr/bin/node", &["--eval", "0", "mine/notes"], &[]),
            ("/bin/sh", &["-ec", "true", "mine/notes"], &[]),
            ("/bin/sh", &["-e", "mine/notes"], &["mine/notes"]),
            ("/usr/bin/node", &["mine/notes"], &["mine/notes"]),
            ("/usr/bin/node", &["mine/run"], &["mine"]),
            ("/usr/bin/python3", &["mine/app.py", "mine/notes"], &["mine"]),
        ] {
            let mut profile = Profile::new(program);
            profile.args = args
                .iter()
                .map(|arg| match arg.strip_prefix("mine/") {
                    Some(_) => root.join(arg).into(),
                    None => OsString::from(arg),
                })
                .collect();
            let profile = isolate(profile, &sandbox(&[]), &Guarded::default()).unwrap();
            let read = profile.isolation.unwrap().read;
            assert_eq!(read, given.iter().map(|path| root.join(path)).collect(), "{args:?}");
        }
    }

    #[test]
    fn where_all_kinds_of_things_are_it_stands_and_sees_nothing() {
        let root = tempfile::tempdir().unwrap();
        for (dir, is_seen) in
            [(Path::new("/"), false), (Path::new("/root"), false), (root.path(), true)]
        {
            let mut profile = Profile::new("/usr/bin/true");
            profile.cwd = Some(dir.to_owned());
            let profile = isolate(profile, &sandbox(&[]), &Guarded::default()).unwrap();
            let isolation = profile.isolation.unwrap();
            assert_eq!(isolation.read.contains(dir), is_seen, "{isolation:?}");
            assert_eq!(isolation.empty.contains(dir), !is_seen, "{isolation:?}");
        }
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
