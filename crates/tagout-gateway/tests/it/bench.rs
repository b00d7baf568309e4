//! A gateway in a folder of its own, with scripted servers behind it.
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tagout_gateway::{
    config::Config,
    lockfile::{Hints, Lockfile, PinnedOffer, PinnedServer, PinnedTool},
    start_of,
};
use tagout_inspect::definition;
use tagout_policy::Shape;
use tagout_proto::{Digest, Document, Limits, ServerName, ToolName};
use tagout_store::Offering;
use tagout_testkit::{Script, program};
use tempfile::TempDir;

/// How long anything may take; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What stands behind the gateway and what has been reviewed of it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Scripted servers by name.
    pub(crate) servers: BTreeMap<String, Script>,
    /// Lines for a server's table in the configuration; a `command` or `url` among them takes the
    /// place of the scripted server.
    pub(crate) entries: Vec<(String, String)>,
    /// Lines for the table `limits`.
    pub(crate) limits: Vec<String>,
    /// The profile, where it is not the default.
    pub(crate) profile: Option<String>,
    /// One's own rules, as Cedar text.
    pub(crate) rules: Vec<String>,
    /// Reviewed tools, as `server/tool`, and their effects.
    pub(crate) reviewed: Vec<(String, Vec<String>)>,
    /// Servers whose resources and prompts are reviewed.
    pub(crate) offers_reviewed: Vec<String>,
    /// Servers that nobody has agreed to send anything to; to all others everybody has.
    pub(crate) not_agreed: Vec<String>,
    /// Servers that are pinned as another program than they are.
    pub(crate) other_program: Vec<String>,
}

/// Pins what a script offers and nobody has reviewed.
fn pin_the_rest(server: &mut PinnedServer, script: &Script) {
    let digest = |definition: &Value| {
        let text = definition.to_string();
        definition::digest(Document::read(text.as_bytes(), Limits::default()).unwrap().root())
    };
    server.instructions = script.instructions.as_ref().map(|text| Digest::of(text.as_bytes()));
    for tool in &script.tools {
        // Some are no definitions on purpose.
        let Some(name) = tool["name"].as_str().and_then(|n| ToolName::try_from(n).ok()) else {
            continue;
        };
        let exec = serde_json::from_value(serde_json::json!(["exec"])).unwrap();
        let arguments = Some(Shape::of_schema(&tool["inputSchema"]));
        server.tools.entry(name).or_insert_with(|| PinnedTool {
            arguments,
            ..PinnedTool::new(digest(tool), exec, false)
        });
    }
    let mut open = vec![serde_json::to_value(&script.methods).unwrap()];
    while let Some(value) = open.pop() {
        for (list, key, kind) in [
            ("prompts", "name", Offering::Prompt),
            ("resourceTemplates", "uriTemplate", Offering::Template),
        ] {
            for offer in value[list].as_array().into_iter().flatten() {
                let Some(name) = offer[key].as_str() else { continue };
                let pinned = PinnedOffer::new(digest(offer), false);
                let is_prompt = kind == Offering::Prompt;
                let offers = if is_prompt { &mut server.prompts } else { &mut server.templates };
                offers.entry(name.to_owned()).or_insert(pinned);
            }
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.into_iter().map(|(_, value)| value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// A gateway's files.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new(plan: &Plan) -> Self {
        let dir = tempfile::Builder::new().prefix("tagout-bench-").tempdir().unwrap();
        let this = Self { dir };
        fs::create_dir_all(this.path("config/policies")).unwrap();
        for (name, script) in &plan.servers {
            let record = Some(this.path(&format!("{name}.saw")));
            Script { record, ..script.clone() }.save(&this.script(name)).unwrap();
        }
        fs::write(this.path("config/policies/own.cedar"), plan.rules.join("\n")).unwrap();
        fs::write(this.config(), this.config_text(plan)).unwrap();
        fs::write(this.path("config/tagout.lock"), this.lockfile(plan).text(&Hints::default()))
            .unwrap();
        this
    }

    fn config_text(&self, plan: &Plan) -> String {
        let mut text = String::from("policies = \"policies\"\n");
        if let Some(profile) = &plan.profile {
            writeln!(text, "profile = \"{profile}\"").unwrap();
        }
        let agreed: Vec<_> =
            plan.servers.keys().filter(|name| !plan.not_agreed.contains(name)).collect();
        writeln!(text, "[consent]\nagreed = {agreed:?}").unwrap();
        writeln!(text, "[limits]\n{}", plan.limits.join("\n")).unwrap();
        for name in plan.servers.keys() {
            let lines: Vec<_> =
                plan.entries.iter().filter(|(server, _)| server == name).map(|(_, l)| l).collect();
            writeln!(text, "[server.{name}]").unwrap();
            let names_one = |line: &&String| line.starts_with("command") || line.starts_with("url");
            if !lines.iter().any(|line| line.starts_with("url")) {
                // It writes down what it sees where the test looks for it.
                writeln!(text, "isolation = \"none\"").unwrap();
            }
            if !lines.iter().any(names_one) {
                let server = program("tagout-testkit", "scripted-server");
                writeln!(text, "command = [{server:?}, {:?}]", self.script(name)).unwrap();
            }
            lines.iter().for_each(|line| writeln!(text, "{line}").unwrap());
        }
        text
    }

    fn lockfile(&self, plan: &Plan) -> Lockfile {
        let mut lockfile = Lockfile::default();
        for (name, effects) in &plan.reviewed {
            let (server, tool) = name.split_once('/').unwrap();
            let definition = plan.servers[server].tools.iter().find(|one| one["name"] == tool);
            let text = definition.unwrap_or_else(|| panic!("no tool `{name}`")).to_string();
            let arguments = definition.map(|tool| Shape::of_schema(&tool["inputSchema"]));
            let document = Document::read(text.as_bytes(), Limits::default()).unwrap();
            let effects = serde_json::from_value(effects.as_slice().into()).unwrap();
            let definition = definition::digest(document.root());
            let pinned = PinnedTool { arguments, ..PinnedTool::new(definition, effects, true) };
            let server = lockfile.servers.entry(ServerName::try_from(server).unwrap()).or_default();
            server.tools.insert(ToolName::try_from(tool).unwrap(), pinned);
        }
        for name in &plan.offers_reviewed {
            let server = lockfile.servers.entry(ServerName::try_from(name.as_str()).unwrap());
            server.or_default().offers_reviewed = true;
        }
        for name in &plan.other_program {
            let server = lockfile.servers.entry(ServerName::try_from(name.as_str()).unwrap());
            let server = server.or_default();
            let program = program("tagout-testkit", "scripted-server");
            let command = [program, self.script(name)].map(|part| part.display().to_string());
            server.command = Some(command.into());
            server.executable = Some(Digest::of(b"another program"));
        }
        // A server that is pinned is pinned with its program and all that it offers.
        let config = Config::parse("tagout.toml", &self.config_text(plan), &self.path("config"));
        for (name, server) in &mut lockfile.servers {
            let entry = config.as_ref().ok().and_then(|config| config.servers.get(name));
            let program = entry.and_then(|entry| start_of(entry, tagout()).pin().ok());
            if let Some(program) = program.filter(|_| server.command.is_none()) {
                let reviewed = server.offers_reviewed;
                let tools = std::mem::take(&mut server.tools);
                *server = PinnedServer { tools, offers_reviewed: reviewed, ..program };
            }
            if let Some(script) = plan.servers.get(name.as_str()) {
                pin_the_rest(server, script);
            }
        }
        lockfile
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("config/tagout.toml")
    }

    fn script(&self, server: &str) -> PathBuf {
        self.path(&format!("{server}.json"))
    }

    /// All that the scripted server received, line by line.
    pub(crate) fn saw(&self, server: &str) -> Vec<String> {
        let text = fs::read(self.path(&format!("{server}.saw"))).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().map(ToOwned::to_owned).collect()
    }

    /// The environment of every program of this bench.
    pub(crate) fn env(&self) -> BTreeMap<String, PathBuf> {
        let at = |name| self.path(name);
        BTreeMap::from([
            ("HOME".to_owned(), at("home")),
            ("XDG_CONFIG_HOME".to_owned(), at("home")),
            ("XDG_STATE_HOME".to_owned(), at("state")),
            ("XDG_DATA_HOME".to_owned(), at("data")),
        ])
    }

    /// The `tagout` program.
    pub(crate) fn program() -> &'static Path {
        tagout()
    }

    /// `tagout` with these arguments and this bench's configuration.
    pub(crate) fn args<'a>(&'a self, args: &[&'a str]) -> Vec<std::ffi::OsString> {
        let config = self.config();
        let args = args.iter().map(std::ffi::OsString::from);
        args.chain(["--config".into(), config.into()]).collect()
    }

    fn command(&self, args: &[&str]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "a test starts what it tests")]
        let mut command = Command::new(tagout());
        // In a process group of its own it is not in the foreground of a terminal that the test
        // may have been started on, so nobody is asked there.
        command.args(self.args(args)).env_clear().envs(self.env()).process_group(0);
        command
    }

    /// Starts `tagout run`.
    pub(crate) fn run(&self) -> Running {
        let complaints = File::create(self.path("complaints")).unwrap();
        let mut command = self.command(&["run", "-vv"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints);
        Running(command.spawn().unwrap())
    }

    /// What the gateway complained on standard error, for failed tests.
    pub(crate) fn complaints(&self) -> String {
        fs::read(self.path("complaints"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Runs a command of `tagout` to its end.
    pub(crate) fn tagout(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Every record of the audit log but its first line: calls in their order, then notes in
    /// theirs, because what servers do of their own accord happens at any time. Fails if the log
    /// does not verify.
    pub(crate) fn records(&self) -> Result<Vec<Value>, String> {
        let verified = self.tagout(&["audit", "verify"]);
        if !verified.status.success() {
            return Err(format!("the log does not verify: {verified:?}"));
        }
        let listed = self.tagout(&["audit", "tail", "-n", "100000", "--json"]);
        let lines = String::from_utf8(listed.stdout).map_err(|e| e.to_string())?;
        let records = lines.lines().map(serde_json::from_str::<Value>);
        let records = records.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let (calls, others): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| record["kind"] == "call");
        let notes = others.into_iter().filter(|record| record["event"]["kind"] != "genesis");
        Ok(calls.into_iter().chain(notes).collect())
    }

    /// Processes that belong to this bench and still run, once they had the time to end.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let left = processes_with(self.dir.path());
            if left.is_empty() || Instant::now() > until {
                return left;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A gateway that runs. Dropping it kills it.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the gateway ended with {status}")),
                Ok(None) if Instant::now() < until => {}
                Ok(None) => return Err("the gateway does not end".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended, and was waited for.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The `tagout` program, built from the sources as they are.
fn tagout() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = program("tagout", "tagout");
        let built = fs::metadata(&path).and_then(|m| m.modified()).unwrap();
        // It is up to date when its own package is; the gateway is in another.
        if newest_source() > built {
            let profile = path.parent().unwrap();
            let mut cargo = cargo();
            cargo.args(["build", "--quiet", "--package", "tagout", "--bin", "tagout"]);
            cargo.arg("--target-dir").arg(profile.parent().unwrap());
            cargo.args(profile.ends_with("release").then_some("--release"));
            assert!(cargo.status().unwrap().success(), "cargo cannot build `tagout`");
        }
        path
    })
}

fn cargo() -> Command {
    #[expect(clippy::disallowed_methods, reason = "a test builds what it tests")]
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn newest_source() -> SystemTime {
    fn newest(path: &Path) -> SystemTime {
        let own = fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let below = fs::read_dir(path).into_iter().flatten().flatten();
        below.map(|entry| newest(&entry.path())).max().map_or(own, |below| below.max(own))
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crates = fs::read_dir(crates).unwrap().flatten();
    crates.map(|one| newest(&one.path().join("src"))).max().unwrap()
}

/// The command lines and environments of processes that name `marker`.
fn processes_with(marker: &Path) -> Vec<String> {
    let marker = marker.to_string_lossy().into_owned();
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let text = |file: &str| {
            let mut bytes = Vec::new();
            // It may have ended meanwhile, or be somebody else's.
            let file = File::open(entry.path().join(file)).ok()?;
            #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
            file.take(1 << 20).read_to_end(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
        };
        let (line, env) = (text("cmdline"), text("environ"));
        if line.iter().chain(&env).any(|text| text.contains(&marker)) {
            found.push(format!("{name}: {}", line.unwrap_or_default()));
        }
    }
    found
}
