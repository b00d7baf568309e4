//! One round: a scene, a gateway, the program, and a look at what came of it.
use std::{
    fmt,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    attempt::{Attempt, why},
    layers::Layers,
    planted::VARIABLE,
    report::Said,
    scene::Scene,
    seen::Seen,
    services::{hand_over, reach},
    suite::Suite,
};

/// Far longer than any attempt takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Those whose program stays, so that its gateway ends before it.
const STAYING: [&str; 2] = ["outlive", "kill-parent"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Stopped,
    /// It never came to the attempt.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Stopped => "stopped",
            Self::Broken => "broken",
        })
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) verdict: Verdict,
    pub(crate) evidence: String,
}

impl Round {
    pub(crate) fn run(
        suite: &Suite,
        attempt: &Attempt,
        layers: Layers,
        number: u32,
        more: &[String],
    ) -> Result<Self, String> {
        let scene = Scene::build(&suite.work, number)?;
        let port = free_port()?;
        let mut facts = scene.facts();
        facts.extend([suite.services.facts(), &suite.facts, more].concat());
        facts.push(format!("listen={port}"));
        let stays = STAYING.contains(&attempt.name);
        facts.extend(stays.then(|| String::from("stay=yes")));
        let mut gateway = Gateway::start(suite, &scene, (layers, attempt.name), &facts)?;
        let reached = thread::scope(|scope| {
            let outside = scope.spawn(|| match attempt.name {
                "listen" => reach(port, &scene.mark),
                "descriptor-from-outside" => {
                    let home = scene.root.join("home");
                    hand_over(&scene.root.join("out/accomplice"), &home);
                    false
                }
                _ => false,
            });
            gateway.listen();
            outside.join().unwrap_or_default()
        });
        let killed = attempt.name.starts_with("kill") && gateway.was_killed();
        let lived_on = stays && gateway.ends_and_leaves(&scene);
        let seen = Seen {
            scene,
            services: Arc::clone(&suite.services),
            terminal: suite.terminal.clone(),
            said: std::mem::take(&mut gateway.said),
            gateway: gateway.process.id(),
            killed,
            lived_on,
            reached,
        };
        let round = Self::judged((attempt.effect)(&seen), &seen);
        gateway.end();
        Ok(round)
    }

    fn judged(succeeded: bool, seen: &Seen) -> Self {
        let (said, scene) = (&seen.said, &seen.scene);
        let mut evidence = said.evidence.replace(&scene.secret, "(the secret)");
        let verdict = if succeeded {
            Verdict::Succeeded
        } else if let Some(failed) = &said.failed {
            evidence.clone_from(failed);
            Verdict::Broken
        } else if said.began || seen.killed {
            Verdict::Stopped
        } else {
            evidence = format!("it never began: {evidence}");
            Verdict::Broken
        };
        // Where it was tried says nothing, and differs from run to run.
        let place = scene.root.display().to_string();
        Self { verdict, evidence: evidence.replace(&place, "…") }
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("0.0.0.0:0").map_err(why)?;
    listener.local_addr().map(|address| address.port()).map_err(why)
}

/// The process between this one and the program.
struct Gateway {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Said,
}

impl Gateway {
    fn start(
        suite: &Suite,
        scene: &Scene,
        (layers, name): (Layers, &str),
        facts: &[String],
    ) -> Result<Self, String> {
        #[expect(clippy::disallowed_methods, reason = "the suite starts what is to be attacked")]
        let mut command = Command::new(suite.work.join("program"));
        let layers = layers.to_string();
        command.args(["gateway", &layers, name]).args(facts).env_clear();
        command.env(VARIABLE, &scene.secret).env("PATH", "/usr/bin:/bin");
        command.env("HOME", scene.root.join("home"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(why)?;
        let stdout = process.stdout.take().ok_or("it has no output")?;
        let (said, lines) = sync_channel(64);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = process.stdin.take();
        Ok(Self { process, stdin, lines, said: Said::default() })
    }

    /// Until the program has said how it went, or nothing more can come.
    fn listen(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said.ended && self.said.failed.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.take(&line),
                Err(error) => {
                    if self.said.evidence.is_empty() {
                        self.said.evidence = format!("nothing more was heard: {error}");
                    }
                    return;
                }
            }
        }
    }

    /// Whether somebody killed it.
    fn was_killed(&mut self) -> bool {
        for _ in 0..6 {
            if let Ok(Some(status)) = self.process.try_wait() {
                return status.signal() == Some(libc::SIGKILL);
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Kills it, without a word to what it started, and says whether anything of that goes on.
    fn ends_and_leaves(&mut self, scene: &Scene) -> bool {
        self.process.kill().ok();
        self.process.wait().ok();
        let beats = || crate::attempt::read(Path::new(&scene.root.join("out/beats"))).ok();
        thread::sleep(Duration::from_millis(300));
        let before = beats();
        thread::sleep(Duration::from_millis(300));
        before.is_some() && before != beats()
    }

    /// Tells it to end, and kills it if it does not.
    fn end(&mut self) {
        self.stdin.take();
        for _ in 0..300 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
