//! The same program behind Tagout's own binary: as a server that is not isolated, and as one that is
//! isolated as every server is by default.
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Role, rows::Rows};
use crate::tree::{command, text};

/// An ordinary user, for root to play.
const SOMEBODY: u32 = 65_534;

const POLICY: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

/// What is tried: a name, what for, what the program calls it, and how success shows.
const ALL: [(&str, &str, &str, Shows); 6] = [
    ("real-ssh-key", "`~/.ssh` of who calls `tagout`", "ssh-key", Shows::Secret),
    ("real-environment", "the environment of `tagout`", "environment", Shows::Secret),
    ("real-lockfile", "review itself in its own lockfile", "write-lockfile", Shows::InLockfile),
    (
        "real-loopback",
        "a service of this machine, directly and by the proxy",
        "proxy-loopback",
        Shows::Heard,
    ),
    ("real-disguise", "the same by other names for it", "proxy-disguised", Shows::Heard),
    ("real-outlive", "outlive `kill -9` of `tagout run`", "outlive", Shows::Beats),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// It has the secret of this run.
    Secret,
    /// Its line is in the lockfile.
    InLockfile,
    /// The service heard it.
    Heard,
    /// A descendant goes on.
    Beats,
}

/// Everything that one server needs.
struct Place<'a> {
    tagout: PathBuf,
    folder: PathBuf,
    role: Role,
    /// Whether this process has to become an ordinary user for it.
    switch: bool,
    heard: &'a Mutex<String>,
}

/// Tries all of it in every role that there is.
pub(super) fn run(
    (tagout, escapee): (&Path, &Path),
    roles: &[Role],
    is_root: bool,
    only: Option<&str>,
    rows: &mut Rows,
) -> Result<(), String> {
    let (port, heard) = listen()?;
    let wanted: Vec<_> =
        ALL.into_iter().filter(|it| only.is_none_or(|only| only == it.0)).collect();
    for role in roles {
        let work =
            tempfile::Builder::new().prefix("tagout-escape-").tempdir_in("/tmp").map_err(said)?;
        let switch = is_root && *role == Role::User;
        let [bare, all] = [true, false].map(|bare| {
            let folder = work.path().join(if bare { "bare" } else { "all" });
            let place =
                Place { tagout: tagout.to_owned(), folder, role: *role, switch, heard: &heard };
            place.prepare(work.path(), escapee, port, bare).map(|tagout| Place { tagout, ..place })
        });
        let (bare, all) = (bare?, all?);
        for (name, about, attempt, shows) in &wanted {
            let (before, evidence_before) = bare.attempt(attempt, *shows)?;
            let (after, evidence) = all.attempt(attempt, *shows)?;
            let row = row(role.name(), name, (before, after), (&evidence_before, &evidence));
            let mut row = row;
            if let Some(row) = row.as_object_mut() {
                row.insert("about".to_owned(), json!(about));
            }
            rows.take(*role, row);
        }
    }
    Ok(())
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What is printed of one attempt.
fn row(role: &str, name: &str, (before, after): (bool, bool), evidence: (&str, &str)) -> Value {
    // A server ends with its gateway, isolated or not.
    let always = name == "real-outlive";
    let verdict = |succeeded: bool| if succeeded { "succeeded" } else { "stopped" };
    let mut row = json!({
        "attempt": name,
        "as": role,
        "bare": if always && !before { "n/a" } else { verdict(before) },
        "bare_evidence": evidence.0,
        "all": verdict(after),
        "all_evidence": evidence.1,
        "alone": {if always { "start" } else { "sandbox" }: "stopped"},
    });
    let problem = if after {
        Some(format!("isolated, it succeeded: {}", evidence.1))
    } else if !before && !always {
        Some(format!("not isolated, it was stopped: {}", evidence.0))
    } else {
        None
    };
    if let Some(row) = row.as_object_mut() {
        row.extend(problem.map(|problem| ("problem".to_owned(), json!(problem))));
        row.extend(always.then(|| {
            ("excuse".to_owned(), json!("a server ends with its gateway, isolated or not"))
        }));
    }
    row
}

/// A service that notes what it hears.
fn listen() -> Result<(u16, Arc<Mutex<String>>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(said)?;
    let port = listener.local_addr().map_err(said)?.port();
    let heard = Arc::new(Mutex::new(String::new()));
    let notes = Arc::clone(&heard);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(Duration::from_secs(1))).ok();
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).is_ok() {
                notes.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
                stream.write_all(b"ok").ok();
            }
        }
    });
    Ok((port, heard))
}

impl Place<'_> {
    /// A folder with all that a gateway and its server have, and the gateway's binary where this
    /// user may start it.
    fn prepare(
        &self,
        work: &Path,
        escapee: &Path,
        port: u16,
        bare: bool,
    ) -> Result<PathBuf, String> {
        let at = |name: &str| self.folder.join(name);
        for name in ["policies", "server", "out", "home/.ssh"] {
            fs::create_dir_all(at(name)).map_err(said)?;
        }
        fs::copy(escapee, at("server/escapee")).map_err(said)?;
        let tagout = work.join("tagout");
        if !tagout.exists() {
            fs::copy(&self.tagout, &tagout).map_err(said)?;
        }
        fs::write(at("home/.ssh/id_ed25519"), self.secret()).map_err(said)?;
        fs::write(at("policies/all.cedar"), POLICY).map_err(said)?;
        fs::write(at("tagout.toml"), self.configuration(port, bare)).map_err(said)?;
        if self.switch {
            let mut own = command("chown");
            own.args(["-R", &format!("{SOMEBODY}:{SOMEBODY}")]).arg(work);
            finished(own)?;
        }
        let place = Place { tagout: tagout.clone(), folder: self.folder.clone(), ..*self };
        finished(place.tagout(&["pin"]))?;
        finished(place.tagout(&["pin", "--accept", "hostile"]))?;
        Ok(tagout)
    }

    fn configuration(&self, port: u16, bare: bool) -> String {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let mut words = vec![at("server/escapee"), "serve".to_owned()];
        words.extend(["home", "out", "server"].map(|name| format!("{name}={}", at(name))));
        words.push(format!("config={}", self.folder.display()));
        words.push(format!("mark={}", self.mark()));
        words.push(format!("tcp=127.0.0.1:{port}"));
        let isolation = if bare {
            "isolation = \"none\"\n".to_owned()
        } else {
            let out = json!([at("out")]);
            format!("[server.hostile.sandbox]\nwrite = {out}\nreach = [\"example.com:443\"]\n")
        };
        format!(
            "profile = \"none\"\npolicies = \"policies\"\n\n[consent]\nagreed = [\"hostile\"]\n\n\
             [server.hostile]\ncommand = {}\n{isolation}",
            json!(words)
        )
    }

    /// Looks like the secrets that the program searches memory for.
    fn secret(&self) -> String {
        format!("planted:{:032x}", u32::from(self.role == Role::Root).wrapping_add(0x5eed))
    }

    fn mark(&self) -> String {
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("mark-{}-{folder}", self.role.name())
    }

    fn tagout(&self, arguments: &[&str]) -> Command {
        let mut run = if self.switch {
            let mut run = command("setpriv");
            let id = |what: &str| format!("--{what}={SOMEBODY}");
            run.args([&id("reuid"), &id("regid"), "--clear-groups"]).arg(&self.tagout);
            run
        } else {
            command(&self.tagout)
        };
        run.arg("--config").arg(self.folder.join("tagout.toml")).args(arguments);
        for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"] {
            run.env(variable, self.folder.join(variable.to_lowercase()));
        }
        run.env("HOME", self.folder.join("home")).env("TAGOUT_ESCAPE_SECRET", self.secret());
        run.stdin(Stdio::null());
        run
    }

    /// Whether it succeeded, and what the program says of it.
    fn attempt(&self, name: &str, shows: Shows) -> Result<(bool, String), String> {
        if shows == Shows::Beats {
            return self.outlived();
        }
        let argument = json!({ "attempt": name }).to_string();
        let said = finished(self.tagout(&["tools", "call", "hostile__escape", &argument]))?;
        let succeeded = match shows {
            Shows::Secret => said.contains(&self.secret()),
            Shows::InLockfile => {
                let lockfile = text(&self.folder.join("tagout.lock"))?.unwrap_or_default();
                // The mark stands in the pinned command line as well.
                // As a line of its own: the command, which names it too, is in there by right.
                let spoiled = lockfile.lines().any(|line| line == self.mark());
                let clean = lockfile.replace(&format!("\n{}\n", self.mark()), "\n");
                fs::write(self.folder.join("tagout.lock"), clean).map_err(|it| it.to_string())?;
                spoiled
            }
            Shows::Heard => {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                let found = heard.contains(&self.mark());
                heard.clear();
                found
            }
            Shows::Beats => false,
        };
        Ok((succeeded, said.replace(&self.secret(), "(the secret)")))
    }

    /// Kills a gateway whose server left a descendant behind.
    fn outlived(&self) -> Result<(bool, String), String> {
        let beats = self.folder.join("out/beats");
        fs::remove_file(&beats).ok();
        let mut run = self.tagout(&["run"]);
        run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut gateway = run.spawn().map_err(said)?;
        let done = talk(&mut gateway);
        // By its handle, and without a word to what it started.
        gateway.kill().map_err(said)?;
        gateway.wait().map_err(said)?;
        drop(done?);
        let began = beats.exists();
        thread::sleep(Duration::from_millis(1000));
        let now = || fs::read(&beats).ok();
        let before = now();
        thread::sleep(Duration::from_millis(500));
        if !began {
            return Err(String::from("no descendant was there to outlive the gateway"));
        }
        Ok((before != now(), String::from("a descendant ran when the gateway was killed")))
    }
}

/// A client's three messages, and the answer to the last. The gateway's input, which stays open.
fn talk(gateway: &mut Child) -> Result<ChildStdin, String> {
    let mut stdin = gateway.stdin.take().ok_or("no input")?;
    let client = json!({"name": "escape", "version": "1"});
    let parameters =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let call = json!({"name": "hostile__escape", "arguments": {"attempt": "outlive"}});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": parameters}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ] {
        writeln!(stdin, "{message}").map_err(said)?;
    }
    let stdout = gateway.stdout.take().ok_or("no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(said)?;
        let answer: Value = serde_json::from_str(&line).map_err(said)?;
        if answer.get("id") == Some(&json!(2)) {
            let refused = answer.get("error").is_some();
            return if refused { Err(format!("the call was refused: {line}")) } else { Ok(stdin) };
        }
    }
    Err(String::from("the gateway did not answer"))
}

/// What a command prints.
fn finished(mut run: Command) -> Result<String, String> {
    let out = run.output().map_err(|error| format!("{}: {error}", run.get_program().display()))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned());
    }
    let words: Vec<_> = run.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&out.stderr)))
}
