//! A home of its own for each test, with configuration, state and keys.
use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tagout_testkit::{Script, program};
use tempfile::TempDir;

pub(crate) const TAGOUT: &str = env!("CARGO_BIN_EXE_tagout");
/// Generous, for machines that do other things too; nothing is expected to come near it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// How often something that will come about is looked for.
pub(crate) const ROUND: Duration = Duration::from_millis(10);
/// No test makes a program print as much as this.
const OUTPUT: u64 = 64 << 20;

/// A scratch home.
pub(crate) struct Place {
    root: TempDir,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { root: TempDir::new().unwrap() }
    }

    /// One that does not lie where every isolated server has a folder of its own.
    pub(crate) fn outside_of_tmp() -> Self {
        Self { root: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn env(&self) -> Vec<(String, PathBuf)> {
        let below = |name: &str, dir: &str| (name.to_owned(), self.path(dir));
        vec![
            below("HOME", "home"),
            below("XDG_STATE_HOME", "state"),
            below("XDG_CONFIG_HOME", "config"),
            below("XDG_DATA_HOME", "data"),
            ("PATH".to_owned(), "/usr/bin:/bin".into()),
        ]
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path("config/tagout/tagout.toml")
    }

    pub(crate) fn lockfile(&self) -> PathBuf {
        self.path("config/tagout/tagout.lock")
    }

    pub(crate) fn audit(&self, file: &str) -> PathBuf {
        self.path("state/tagout/audit").join(file)
    }

    /// Writes a file, and the folders that it needs.
    pub(crate) fn write(&self, path: &Path, text: impl AsRef<[u8]>) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn configure(&self, text: &str) {
        self.write(&self.config_file(), text);
    }

    /// Adds a scripted server to the configuration. It is not isolated: it writes down what it hears.
    pub(crate) fn scripted(&self, name: &str, script: Value) {
        let script = self.script(name, script);
        let program = program("tagout-testkit", "scripted-server");
        let entry = format!(
            "\n[server.{name}]\ncommand = [{:?}, {:?}]\nisolation = \"none\"\n\
             timeout_s = 30\n",
            program.to_str().unwrap(),
            script.to_str().unwrap()
        );
        let before = fs::read(self.config_file()).unwrap_or_default();
        self.configure(&(String::from_utf8(before).unwrap() + &entry));
    }

    /// Writes what a scripted server does, over what it did before.
    pub(crate) fn script(&self, name: &str, script: Value) -> PathBuf {
        let path = self.path(&format!("{name}.json"));
        let mut script: Script = serde_json::from_value(script).unwrap();
        script.record = Some(self.path(&format!("{name}.seen")));
        script.save(&path).unwrap();
        path
    }

    /// How often a scripted server was asked to run a tool.
    pub(crate) fn calls(&self, name: &str, tool: &str) -> usize {
        let seen = fs::read(self.path(&format!("{name}.seen"))).unwrap_or_default();
        let seen = String::from_utf8(seen).unwrap();
        let frames = seen.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        frames
            .filter(|frame| frame["method"] == "tools/call" && frame["params"]["name"] == tool)
            .count()
    }

    /// The command, without a terminal that it could ask on: in the background of any that there
    /// is.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        self.program(TAGOUT, args)
    }

    pub(crate) fn program<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Command {
        use std::os::unix::process::CommandExt as _;
        #[expect(clippy::disallowed_methods, reason = "it starts the program under test")]
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(self.env()).current_dir(self.root()).process_group(0);
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        finish(self.command(args))
    }

    /// What a command that must do well prints.
    #[track_caller]
    pub(crate) fn done<S: AsRef<OsStr> + std::fmt::Debug>(&self, args: &[S]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        assert_eq!(ran.stderr, "", "{args:?}");
        ran.stdout
    }

    /// Pins all servers, then counts `accept` as reviewed.
    #[track_caller]
    pub(crate) fn pin(&self, accept: &[&str]) {
        self.done(&["pin"]);
        let mut args = vec!["pin"];
        args.extend(accept.iter().flat_map(|accept| ["--accept", accept]));
        if !accept.is_empty() {
            self.done(&args);
        }
    }

    /// A record as JSON.
    #[track_caller]
    pub(crate) fn record(&self, number: u64) -> Value {
        one(&self.done(&["--json", "audit", "show", &number.to_string()]))
    }
}

/// A tool's definition that takes some text.
pub(crate) fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": format!("The tool {name}."),
        "inputSchema": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "n": {"type": "number"}}
        }
    })
}

/// The one JSON value of an output.
#[track_caller]
pub(crate) fn one(output: &str) -> Value {
    serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// The JSON values of an output, one a line.
#[track_caller]
pub(crate) fn each(output: &str) -> Vec<Value> {
    output.lines().map(one).collect()
}

/// Runs a command to its end, with nothing on its standard input.
#[track_caller]
pub(crate) fn finish(mut command: Command) -> Ran {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (stdout, stderr) = (reading(stdout), reading(stderr));
    let status = ended(&mut child).unwrap_or_else(|| panic!("it does not end: {command:?}"));
    let code = status.code().unwrap_or(-1);
    Ran { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Reads all that there is, aside.
pub(crate) fn reading(stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
        stream.take(OUTPUT).read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A child's end; it is killed when that does not come.
pub(crate) fn ended(child: &mut Child) -> Option<ExitStatus> {
    let status = within_limit(|| child.try_wait().unwrap());
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    status
}

/// What `look` finds, as soon as it finds something.
pub(crate) fn within_limit<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + LIMIT;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > end {
            return found;
        }
        thread::sleep(ROUND);
    }
}

/// Whether a process is gone; one that is dead and not waited for yet is.
pub(crate) fn gone(pid: u64) -> bool {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => String::from_utf8_lossy(&stat).contains(") Z "),
        Err(_) => true,
    }
}
