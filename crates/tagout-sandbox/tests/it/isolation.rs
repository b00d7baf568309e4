//! What an isolated program sees, and what it does not.
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use tagout_sandbox::{Exit, Profile, survey};

use crate::bench::{PROBE, all_of, field, jailer, start};

/// A gateway of the tests' own, in a folder that everybody may look into.
pub(crate) struct Yard {
    dir: tempfile::TempDir,
    probe: PathBuf,
}

/// What came of a program.
pub(crate) struct Ran {
    pub(crate) said: String,
    pub(crate) complained: String,
    pub(crate) exit: Exit,
}

impl Yard {
    /// `None`, which is said aloud, on a machine that cannot isolate.
    pub(crate) fn new() -> Option<Self> {
        let missing = survey(&jailer()).unwrap().missing();
        if !missing.is_empty() {
            println!("skipped: this machine lacks {missing:?}");
            return None;
        }
        // Not in `/tmp`: what lies there does so in the program's own.
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let probe = dir.path().join("probe");
        fs::copy(PROBE, &probe).unwrap();
        for path in [dir.path(), &probe] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Some(Self { dir, probe })
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().canonicalize().unwrap().join(name).to_str().unwrap().to_owned()
    }

    /// A folder that everybody may write to.
    pub(crate) fn folder(&self, name: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        path
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// As whom gateways can be started here: with `as-user` as an ordinary user, else as ourselves.
    pub(crate) fn users() -> &'static [&'static str] {
        if rustix::process::geteuid().is_root() { &["", "as-user"] } else { &[""] }
    }

    pub(crate) fn gateway(&self, user: &str, settings: &[&str], command: &[&str]) -> Profile {
        let words = [&["isolated"], settings, &["--"], command].concat();
        let mut profile = Profile::new(&self.probe);
        let user = Some(user).filter(|user| !user.is_empty());
        profile.args = user.into_iter().chain(words).map(Into::into).collect();
        profile
    }

    pub(crate) fn run(&self, user: &str, settings: &[&str], command: &[&str]) -> Ran {
        let mut child = start(&self.gateway(user, settings, command));
        let said = all_of(child.stdout.take());
        let complained = all_of(child.stderr.take());
        Ran { said, complained, exit: child.wait() }
    }

    pub(crate) fn sh(&self, user: &str, settings: &[&str], script: &str) -> Ran {
        self.run(user, settings, &["/bin/sh", "-c", script])
    }
}

/// Everybody's word, each time.
fn for_all(settings: impl Fn(&Yard) -> Vec<String>, script: &str, check: impl Fn(&Ran)) {
    let Some(yard) = Yard::new() else { return };
    let settings = settings(&yard);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    for user in Yard::users() {
        check(&yard.sh(user, &settings, script));
    }
}

fn nothing(_: &Yard) -> Vec<String> {
    Vec::new()
}

#[test]
fn it_is_nobody_and_can_do_nothing() {
    for_all(nothing, "cat /proc/self/status; id -un; hostname; pwd; env; umask", |ran| {
        let none = "0000000000000000";
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "SigIgn:", "SigBlk:"] {
            assert_eq!(field(&ran.said, set), none, "{set}");
        }
        assert_eq!(field(&ran.said, "NoNewPrivs:"), "1");
        assert_eq!(field(&ran.said, "Seccomp:"), "2");
        assert_eq!(field(&ran.said, "Groups:"), "");
        let ids: Vec<&str> = field(&ran.said, "Uid:").split_whitespace().collect();
        assert!(ids.iter().all(|id| *id == ids[0] && *id != "0"), "{ids:?}");
        let (_, rest) = ran.said.split_once("nonvoluntary_ctxt_switches").unwrap();
        let rest: Vec<&str> = rest.lines().skip(1).collect();
        let path = "PATH=/usr/local/bin:/usr/bin:/bin";
        assert_eq!(rest, ["server", "sandbox", "/tmp", path, "PWD=/tmp", "0077"]);
    });
}

#[test]
fn it_has_its_three_pipes_and_sees_only_itself() {
    let script = "ls -l /proc/self/fd | tail -n +2; echo; ls -d /proc/[0-9]*; echo; \
                  tail -n +3 /proc/net/dev; echo; ls /sys 2>&1; ls /dev";
    for_all(nothing, script, |ran| {
        let parts: Vec<&str> = ran.said.split("\n\n").collect();
        let fds: Vec<&str> = parts[0].lines().collect();
        assert_eq!(fds.len(), 4, "the fourth lists them: {fds:?}");
        assert!(fds[..3].iter().all(|fd| fd.contains("-> pipe:")), "{fds:?}");
        // The first process of its namespace hides.
        assert!(!parts[1].lines().any(|line| line == "/proc/1"), "{}", parts[1]);
        assert!(parts[1].lines().count() <= 2, "{}", parts[1]);
        assert!(parts[2].trim_start().starts_with("lo:") && parts[2].lines().count() == 1);
        let rest: Vec<&str> = parts[3].lines().skip(1).collect();
        let devices = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout"];
        assert_eq!(rest, [&devices[..], &["urandom", "zero"]].concat());
    });
}

#[test]
fn every_mount_is_harmless() {
    for_all(nothing, "cat /proc/self/mounts", |ran| {
        assert!(ran.said.lines().count() > 10, "{}", ran.said);
        for line in ran.said.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let (place, kind) = (fields[1], fields[2]);
            let has = |option: &str| fields[3].split(',').any(|o| o == option);
            assert!(has("nosuid"), "{line}");
            assert!(has("nodev") || kind == "devtmpfs", "{line}");
            assert!(has("noexec") || has("ro"), "{line}");
            assert!(
                has("ro") || ["/tmp", "/dev", "/dev/shm"].contains(&place) || kind == "devtmpfs"
            );
        }
    });
}

/// What a program may try, one line each.
const TRIES: &str = r#"
        try() { if ( eval "$1" ) >/dev/null 2>&1; then echo "yes $1"; else echo "no $1"; fi; }
        try 'test "$(cat file)" = content'
        try ./script
        try 'echo x > file'
        try 'rm file'
        try 'mkdir new'
        try 'chmod 700 file'
        try 'echo x > out/new'
        try 'mv out/new out/newer && rm out/newer'
        try 'out/script'
        try 'cp /bin/true out/t; chmod 755 out/t; out/t'
        try 'chmod 4755 out/t'
        try 'cp /bin/true /tmp/t; chmod 755 /tmp/t; /tmp/t'
        try 'test -z "$(ls deep)"'
        try 'echo x > deep/x'
        try 'cat ../beside'
        try 'test "$(ls ..)" = seen'
        try 'ls /'
        try 'ls /root'
        try 'cat /etc/shadow'
        try 'cat /proc/1/environ'
        try 'cat /proc/kcore | head -c 1 | grep .'
        try 'echo 1 > /proc/sys/kernel/hostname'
        try 'echo x > /usr/x'
        try 'echo x > /x'
        try 'echo x > /dev/x'
        try 'echo x > /dev/null'
        try 'echo x > /dev/shm/x'
        try 'head -c 8 /dev/urandom'
        try 'mount -t tmpfs none /tmp'
        try 'unshare -r true'
    "#;

/// Those of them that go well.
const YES: [&str; 10] = [
    "test \"$(cat file)\" = content",
    "./script",
    "echo x > out/new",
    "mv out/new out/newer && rm out/newer",
    "test -z \"$(ls deep)\"",
    // A folder on the way to what it was given holds nothing else.
    "test \"$(ls ..)\" = seen",
    // All that is there is what it was given.
    "ls /",
    "echo x > /dev/null",
    "echo x > /dev/shm/x",
    "head -c 8 /dev/urandom",
];

#[test]
fn it_reads_and_writes_what_it_is_given_and_nothing_else() {
    let given = |yard: &Yard| {
        yard.folder("seen/deep");
        yard.folder("seen/out");
        yard.file("seen/file", "content");
        yard.file("beside", "beside");
        let script = yard.file("seen/script", "#!/bin/sh\necho ran\n");
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
        let script = yard.file("seen/out/script", "#!/bin/sh\necho ran\n");
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
        vec![
            format!("read={}", yard.path("seen")),
            format!("write={}", yard.path("seen/out")),
            format!("hide={}", yard.path("seen/deep")),
            format!("cwd={}", yard.path("seen")),
        ]
    };
    for_all(given, TRIES, |ran| {
        let allowed: Vec<&str> = ran.said.lines().filter_map(|l| l.strip_prefix("yes ")).collect();
        assert_eq!(allowed, YES, "{}\n{}", ran.said, ran.complained);
        assert_eq!(ran.said.lines().filter(|l| l.starts_with("no ")).count(), 20);
    });
}

/// What is to be hidden is not covered: no mount has it, whatever takes its name.
#[test]
fn what_is_hidden_stays_so_when_it_is_replaced() {
    let Some(yard) = Yard::new() else { return };
    for user in Yard::users() {
        let out = yard.folder("seen/out");
        let key = yard.file("seen/key", "old");
        yard.file("seen/file", "content");
        let later = yard.path("seen/later");
        let settings = [
            format!("read={}", yard.path("seen")),
            format!("write={out}"),
            format!("hide={key}"),
            format!("hide={later}"),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let script = "cd \"$0\"; echo ready > out/ready; while ! test -e out/go; do sleep 0.05; \
                      done; cat key file; cat later; ls";
        let command = ["/bin/sh", "-c", script, &yard.path("seen")];
        let mut child = start(&yard.gateway(user, &settings, &command));
        while !Path::new(&out).join("ready").exists() {
            assert_eq!(child.try_wait(), None, "it waits for the word");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        fs::rename(yard.file("seen/new", "new"), &key).unwrap();
        yard.file("seen/later", "later");
        yard.file("seen/out/go", "");
        assert_eq!(all_of(child.stdout.take()), "contentfile\nkey\nout\n");
        assert_eq!(child.wait(), Exit::Code(0));
        fs::remove_dir_all(yard.path("seen")).unwrap();
    }
}

#[test]
fn no_link_leads_out_of_what_a_server_writes() {
    let Some(yard) = Yard::new() else { return };
    let out = yard.folder("out");
    yard.folder("private");
    symlink(yard.path("private"), yard.path("out/sub")).unwrap();
    let (read, write) = (format!("read={out}/sub"), format!("write={out}"));
    let (nested, unlinked) = (format!("write={out}/sub"), format!("unlinked={out}"));
    for settings in [
        [write.as_str(), read.as_str()],
        [&write, &nested],
        [&unlinked, &read],
        [&unlinked, &nested],
    ] {
        let ran = yard.sh("", &settings, "echo ran");
        let expected = "which a server may have put there";
        assert!(ran.said.contains(expected), "{settings:?}: {}", ran.said);
    }
}

#[test]
fn an_empty_place_is_there_and_nothing_in_it() {
    let given = |yard: &Yard| {
        yard.folder("home");
        yard.file("home/key", "key");
        let server = yard.file("home/server", "served");
        let home = yard.path("home");
        vec![format!("empty={home}"), format!("cwd={home}"), format!("read={server}")]
    };
    for_all(given, "ls; cat server", |ran| assert_eq!(ran.said, "server\nserved"));
}

#[test]
fn with_the_whole_file_system_its_own_places_stay_its_own() {
    let tmp = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(tmp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = tmp.path().join("script");
    fs::write(&script, "#!/bin/sh\nls -d /etc/hosts\nls -A /tmp /run\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let Some(yard) = Yard::new() else { return };
    let script = script.to_str().unwrap();
    let name = tmp.path().file_name().unwrap().to_str().unwrap();
    for user in Yard::users() {
        let ran = yard.run(user, &["read=/", &format!("read={script}"), "secret=token"], &[script]);
        let expected = format!("/etc/hosts\n/run:\nsecrets\n\n/tmp:\n{name}\n");
        assert_eq!(ran.said, expected, "{user}: {}", ran.complained);
    }
}

#[test]
fn links_lead_where_they_lead_outside() {
    let given = |yard: &Yard| {
        yard.folder("real/data");
        yard.file("real/data/file", "found");
        fs::create_dir(yard.path("names")).unwrap();
        symlink("../real", yard.path("names/near")).unwrap();
        symlink(yard.path("names/near/data"), yard.path("far")).unwrap();
        vec![format!("read={}", yard.path("far")), format!("cwd={}", yard.path("far"))]
    };
    for_all(given, "cat file; cd ../..; pwd -P; cat real/data/file names/near/data/file", |ran| {
        assert!(
            ran.said.starts_with("found/") && ran.said.ends_with("\nfoundfound"),
            "{}",
            ran.said
        );
    });
}

#[test]
fn the_superusers_files_are_seen_as_its_own() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: this is for the superuser");
        return;
    }
    let Some(yard) = Yard::new() else { return };
    let folder = yard.folder("mine");
    let file = yard.file("mine/file", "mine");
    for (path, mode) in [(&file, 0o600), (&folder, 0o700)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let set = format!("write={folder}");
    let ran =
        yard.sh("", &[&set], &format!("cat {file}; echo new > {folder}/new; stat -c %U {file}"));
    assert_eq!(
        (ran.said.as_str(), ran.exit),
        ("mineserver\n", Exit::Code(0)),
        "{}",
        ran.complained
    );
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(fs::metadata(format!("{folder}/new")).unwrap().uid(), 0);
}

#[test]
fn private_files_are_its_own_and_only_read() {
    let script = "cat /run/secrets/token; stat -c ' %a %U %s' /run/secrets/token; \
                  rm /run/secrets/token || echo x > /run/secrets/other || echo refused";
    for_all(
        |_| vec![String::from("secret=token")],
        script,
        |ran| {
            assert_eq!(ran.said, "hunter2 400 server 7\nrefused\n", "{}", ran.complained);
        },
    );
    assert!(!Path::new("/run/secrets/token").exists());
}

#[test]
fn ordinary_programs_run() {
    let python = "import ssl, socket, asyncio, threading, subprocess, tempfile, multiprocessing\n\
                  tempfile.TemporaryFile().write(b'x')\n\
                  print(subprocess.run(['/bin/echo', 'child'], capture_output=True).stdout)\n\
                  print(len(ssl.create_default_context().get_ca_certs()) > 10)\n\
                  asyncio.run(asyncio.sleep(0))\n\
                  print(multiprocessing.Semaphore(1).acquire())";
    let node = "const w = require('worker_threads');\n\
                require('os').networkInterfaces();\n\
                require('fs').writeFileSync('/tmp/x', 'y');\n\
                console.log(require('child_process').execSync('echo child').toString().trim());\n\
                new w.Worker('0', {eval: true}).on('exit', c => console.log('worker', c));";
    let cases = [
        ("/usr/bin/python3", "-c", python, "b'child\\n'\nTrue\nTrue\n"),
        ("/usr/bin/node", "-e", node, "child\nworker 0\n"),
    ];
    let Some(yard) = Yard::new() else { return };
    for (program, flag, script, expected) in cases {
        if !Path::new(program).exists() {
            println!("skipped: no `{program}`");
            continue;
        }
        for user in Yard::users() {
            let ran = yard.run(user, &[], &[program, flag, script]);
            assert_eq!(ran.said, expected, "{}", ran.complained);
        }
    }
}

#[test]
fn what_cannot_be_given_is_said_with_its_path() {
    let Some(yard) = Yard::new() else { return };
    let script = yard.file("script", "#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let cases: [(&[&str], &[&str], &str); 6] = [
        (&["read=/nowhere"], &["/bin/true"], "`/nowhere` cannot be looked at: No such file"),
        (&["read=/proc/self"], &["/bin/true"], "is made for the program alone"),
        (&["write=/"], &["/bin/true"], "`/` the whole file system cannot be given for writing"),
        (&["cwd=/root"], &["/bin/true"], "`/root` cannot be its working directory"),
        (&[], &[&script], "cannot be executed by an isolated program"),
        (&[], &["/nowhere/x"], "cannot execute `/nowhere/x`"),
    ];
    for (settings, command, expected) in cases {
        let ran = yard.run("", settings, command);
        assert!(ran.said.contains(expected), "{settings:?} {command:?}: {}", ran.said);
    }
}
