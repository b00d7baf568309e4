//! Measures the gateway as a whole process: `measure PATH_OF_TAGOUT [CALLS]`. Prints what
//! `docs/performance.md` quotes. Only figures of one run on one machine compare.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made should fail loudly")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it starts the programs that it measures")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// Linux counts processor time in ticks of 10 ms.
const TICK: Duration = Duration::from_millis(10);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let tagout = arguments.next().expect_path();
    let calls: u32 = arguments.next().map_or(20_000, |calls| calls.parse().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let server = tagout_testkit::program("tagout-testkit", "scripted-server");
    configure(&tagout, &server, scratch);

    let wall = (0..5).map(|_| ask(&tagout, scratch)).min().unwrap();
    println!("ask, start to end: {} ms", wall.as_millis());
    let (started, mut grid) = Peer::start(gateway(&tagout, scratch, None));
    println!(
        "run with the grid assistant, start to answered initialize: {} ms",
        started.as_millis()
    );
    grid.call("tools/list", "{}");
    std::thread::sleep(Duration::from_secs(1));
    println!("the same, idle: {} KiB resident", grid.resident_kib());
    drop(grid);

    let script = scratch.join("script.json");
    let mut direct = Command::new(&server);
    direct.arg(&script);
    let config = scratch.join("tagout.toml");
    for (name, command, tool) in [
        ("direct", direct, "echo"),
        ("through tagout", gateway(&tagout, scratch, Some(&config)), "echo__echo"),
    ] {
        let (_, mut peer) = Peer::start(command);
        let params = format!(r#"{{"name":"{tool}","arguments":{{"text":"hello grid"}}}}"#);
        (0..500).for_each(|_| peer.call("tools/call", &params));
        let (before, start) = (peer.cpu(), Instant::now());
        (0..calls).for_each(|_| peer.call("tools/call", &params));
        let (wall, cpu) = (start.elapsed() / calls, (peer.cpu() - before) / calls);
        println!(
            "{name}: {} µs a call, {} µs of its own processor time",
            wall.as_micros(),
            cpu.as_micros()
        );
        println!("{name}: {} KiB resident", peer.resident_kib());
    }
}

trait ExpectPath {
    fn expect_path(self) -> std::path::PathBuf;
}

impl ExpectPath for Option<String> {
    fn expect_path(self) -> std::path::PathBuf {
        let path = self.unwrap_or_else(|| "target/release/tagout".to_owned());
        fs::canonicalize(path).unwrap()
    }
}

/// A server with one tool, pinned and reviewed, behind the default policy.
fn configure(tagout: &Path, server: &Path, scratch: &Path) {
    let script = r#"{"tools":[{"name":"echo","description":"Reads back.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]},"annotations":{"readOnlyHint":true}}]}"#;
    fs::write(scratch.join("script.json"), script).unwrap();
    let config = format!(
        "[server.echo]\ncommand = [{:?}, {:?}]\n",
        server.display().to_string(),
        scratch.join("script.json").display().to_string()
    );
    fs::write(scratch.join("tagout.toml"), config).unwrap();
    // First written down, then, looked at by nobody but this, accepted.
    for arguments in [&["pin", "--config"][..], &["pin", "--accept", "echo", "--config"]] {
        let mut pin = command(tagout, scratch);
        pin.args(arguments).arg(scratch.join("tagout.toml"));
        assert!(pin.stdout(Stdio::null()).status().unwrap().success(), "the server can be pinned");
    }
}

fn command(tagout: &Path, scratch: &Path) -> Command {
    let mut command = Command::new(tagout);
    for variable in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(variable, scratch.join(variable));
    }
    command
}

fn gateway(tagout: &Path, scratch: &Path, config: Option<&Path>) -> Command {
    let mut command = command(tagout, scratch);
    command.arg("run");
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command
}

fn ask(tagout: &Path, scratch: &Path) -> Duration {
    let mut ask = command(tagout, scratch);
    ask.args(["ask", "What is the outage risk of transformer A7 at 38 C with 70 km/h wind?"]);
    let start = Instant::now();
    assert!(ask.stdout(Stdio::null()).status().unwrap().success(), "the question is answered");
    start.elapsed()
}

/// An MCP server that is being measured.
struct Peer {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next_id: u64,
    line: String,
}

impl Peer {
    /// Starts it and shakes hands; how long that took.
    fn start(mut command: Command) -> (Duration, Self) {
        let start = Instant::now();
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = piped.spawn().unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut peer = Self { process, input, output, next_id: 1, line: String::new() };
        peer.call("initialize", r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"measure","version":"1"}}"#);
        let started = start.elapsed();
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        writeln!(peer.input.as_mut().unwrap(), "{initialized}").unwrap();
        (started, peer)
    }

    fn call(&mut self, method: &str, params: &str) {
        let id = self.next_id;
        self.next_id += 1;
        let frame =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        writeln!(self.input.as_mut().unwrap(), "{frame}").unwrap();
        self.line.clear();
        self.output.read_line(&mut self.line).unwrap();
        assert!(self.line.contains("\"result\""), "{method}: {}", self.line);
    }

    /// Processor time so far of the process itself, without its servers.
    fn cpu(&self) -> Duration {
        let stat = fs::read(format!("/proc/{}/stat", self.process.id())).unwrap();
        let stat = String::from_utf8_lossy(&stat).into_owned();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).unwrap().parse::<u32>().unwrap();
        // Fields 14 and 15 of proc(5), counted from behind the name.
        TICK * (ticks(11) + ticks(12))
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read(format!("/proc/{}/status", self.process.id())).unwrap();
        let status = String::from_utf8_lossy(&status).into_owned();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Closing its input ends it.
        drop(self.input.take());
        drop(self.process.wait());
    }
}
