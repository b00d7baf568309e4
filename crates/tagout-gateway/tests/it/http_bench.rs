//! A gateway that serves over HTTP, and the keys of those who may call it.
use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;
use tagout_testkit::{
    HttpTranscript, Script,
    http_transcript::{Names, lacks_nothing},
    program,
};

use crate::bench::{Bench, PATIENCE, Plan, Running};

/// Clients that come with nothing else said.
const CALLER: &str = "alice";

/// A gateway's files, its keys, and the gateway.
pub(crate) struct Served {
    pub(crate) bench: Bench,
    pub(crate) address: SocketAddr,
    /// `key.NAME` of each caller.
    pub(crate) names: Names,
    gateway: Running,
}

impl Served {
    /// A gateway with a key for each of `callers`, as `NAME` or `NAME GROUP…`.
    pub(crate) fn new(plan: &Plan, callers: &[&str]) -> Self {
        let bench = Bench::new(plan);
        let mut names = Names::new();
        let everybody = if callers.is_empty() { &[CALLER][..] } else { callers };
        for caller in everybody {
            let mut words = caller.split_whitespace();
            let name = words.next().unwrap();
            let mut args = vec!["key", "add", name, "--json"];
            args.extend(words.flat_map(|group| ["--group", group]));
            let added = bench.tagout(&args);
            let said: Value = serde_json::from_slice(&added.stdout)
                .unwrap_or_else(|error| panic!("{error}: {added:?}"));
            names.insert(format!("key.{name}"), said["key"].clone());
        }
        let (gateway, address) = start(&bench);
        Self { bench, address, names, gateway }
    }

    /// Plays a transcript; gives what came.
    pub(crate) fn play(&self, transcript: &HttpTranscript) -> Result<Vec<String>, String> {
        let played = transcript
            .play(self.address, self.names.clone(), PATIENCE, &mut |what| self.holds(what));
        played.map_err(|mismatch| self.complaining(&mismatch.to_string()))
    }

    /// Whether a condition of a transcript holds: `saw SERVER TEXT`, `record RECORD`, `gone`.
    fn holds(&self, condition: &str) -> Result<bool, String> {
        let (word, rest) = condition.split_once(' ').unwrap_or((condition, ""));
        match word {
            "saw" => {
                let (server, text) = rest.split_once(' ').ok_or("`saw` takes two values")?;
                Ok(self.bench.saw(server).iter().any(|line| line.contains(text)))
            }
            "record" => {
                let wanted = serde_json::from_str(rest).map_err(|error| error.to_string())?;
                Ok(self.bench.records()?.iter().any(|record| lacks_nothing(&wanted, record)))
            }
            "alone" => Ok(self.has_no_children()),
            _ => Err("a condition is `saw`, `record` or `alone`".to_owned()),
        }
    }

    /// Whether no server runs, nor what would end it.
    pub(crate) fn has_no_children(&self) -> bool {
        let tasks = format!("/proc/{}/task", self.gateway.0.id());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        tasks
            .map(|task| fs::read(task.path().join("children")).unwrap_or_default())
            .all(|children| children.iter().all(u8::is_ascii_whitespace))
    }

    fn complaining(&self, why: &str) -> String {
        let complaints = self.bench.complaints();
        let last: Vec<_> = complaints.lines().rev().take(12).collect();
        let last: Vec<_> = last.into_iter().rev().collect();
        format!("{why}\n  the gateway complained:\n{}", last.join("\n"))
    }

    /// Stops the gateway; gives the log's records, once it is certain that it verifies and that
    /// nothing was left behind.
    pub(crate) fn stop(mut self) -> Result<(Bench, Vec<Value>), String> {
        let pid = rustix::process::Pid::from_child(&self.gateway.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|error| error.to_string())?;
        self.gateway.ended().map_err(|why| self.complaining(&why))?;
        let left = self.bench.left_behind();
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}"));
        }
        let records = self.bench.records()?;
        Ok((self.bench, records))
    }
}

fn start(bench: &Bench) -> (Running, SocketAddr) {
    let complaints = File::create(bench.path("complaints")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test starts what it tests")]
    let mut command = Command::new(Bench::program());
    command.args(bench.args(&["run", "--http", "127.0.0.1:0", "-vv"]));
    command.env_clear().envs(bench.env()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints);
    let mut running = Running(command.spawn().unwrap());
    let until = Instant::now() + PATIENCE;
    loop {
        let said = bench.complaints();
        let url = said.lines().find_map(|line| line.strip_prefix("serving MCP clients at http://"));
        if let Some(address) = url.and_then(|url| url.strip_suffix("/mcp")) {
            return (running, address.parse().unwrap());
        }
        assert!(running.0.try_wait().unwrap().is_none(), "the gateway ended: {said}");
        assert!(Instant::now() < until, "the gateway does not listen: {said}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// What a transcript's `set` lines say of the gateway and its callers.
pub(crate) fn plan(transcript: &HttpTranscript) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for (name, value) in transcript.all_settings() {
        let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
        let pair = || (first.to_owned(), rest.trim().to_owned());
        match name {
            "server" => {
                let script =
                    serde_json::from_str(rest).map_err(|e| format!("server `{first}`: {e}"))?;
                plan.servers.insert(first.to_owned(), script);
            }
            "fixture" => {
                let server = program("tagout-testkit", "fixture-server");
                let command = format!("command = [{server:?}, \"--stdio\", \"--era\", {rest:?}]");
                plan.servers.insert(first.to_owned(), Script::default());
                plan.entries.push((first.to_owned(), command));
            }
            "entry" => plan.entries.push(pair()),
            "limits" => plan.limits.push(value.to_owned()),
            "profile" => plan.profile = Some(value.to_owned()),
            "rule" => plan.rules.push(value.to_owned()),
            "reviewed" => {
                let effects = rest.split_whitespace().map(ToOwned::to_owned);
                plan.reviewed.push((first.to_owned(), effects.collect()));
            }
            "offers-reviewed" => plan.offers_reviewed.push(value.to_owned()),
            "key" | "saw-text" | "never-saw" | "saw-times" => {}
            other => return Err(format!("`set {other}` is not known")),
        }
    }
    Ok(plan)
}
