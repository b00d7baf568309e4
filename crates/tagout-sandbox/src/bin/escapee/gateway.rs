//! Starts the program as a gateway would, and holds what is to be stolen from a gateway.
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    os::fd::OwnedFd,
    process::{self, Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::process::{Signal, kill_process};
use tagout_sandbox::{Child, Jailer, PrivateFile, Profile, spawn};

use crate::{
    attempt::{Facts, why},
    layers::{Layers, isolation},
    planted::Planted,
};

/// A program that was started, one way or the other.
enum Program {
    Bare(process::Child),
    Jailed(Box<Child>),
}

/// `escapee gateway LAYERS NAME key=value…`; the end of its input ends it and what it started.
pub(crate) fn run(words: &[String]) -> Result<ExitCode, String> {
    let [layers, name, facts @ ..] = words else { return Err(String::from("layers and a name")) };
    let layers = Layers::of_name(layers)?;
    let mut facts = facts.to_vec();
    facts.push(format!("gateway={}", process::id()));
    let parsed = Facts::parse(&facts);
    let planted = Planted::plant(name, &parsed)?;
    let other = (name == "other-secrets").then(|| neighbour(&parsed, planted.secret()));
    let mut words = vec![name.clone()];
    words.extend(facts);
    let mut program = start(layers, &parsed, &words)?;
    let stdout = program.stdout()?;
    let program = Arc::new(program);
    let watched = Arc::clone(&program);
    let watch = thread::Builder::new().spawn(move || until_told(&watched)).map_err(why)?;
    for line in BufReader::new(stdout).lines() {
        println!("{}", line.map_err(why)?);
    }
    match &*program {
        Program::Bare(_) => println!("gone: the end of its output"),
        Program::Jailed(child) => println!("gone: {}", child.wait()),
    }
    watch.join().map_err(|_| "the watch failed")?;
    drop((planted, other));
    Ok(ExitCode::SUCCESS)
}

impl Program {
    fn stdout(&mut self) -> Result<File, String> {
        let stdout = match self {
            Self::Bare(child) => child.stdout.take().map(OwnedFd::from),
            Self::Jailed(child) => child.stdout.take(),
        };
        stdout.map(File::from).ok_or_else(|| String::from("it has no output"))
    }
}

/// Ends the program when nobody asks any more.
fn until_told(program: &Program) {
    io::stdin().read_exact(&mut [0]).ok();
    match program {
        Program::Bare(child) => {
            kill_process(rustix::process::Pid::from_child(child), Signal::KILL).ok();
        }
        Program::Jailed(child) => child.kill(),
    }
}

fn start(layers: Layers, facts: &Facts, words: &[String]) -> Result<Program, String> {
    let program = facts.path("server")?.join("program");
    if layers == Layers::None {
        #[expect(clippy::disallowed_methods, reason = "this one is to be started with no care")]
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        return command.spawn().map(Program::Bare).map_err(why);
    }
    let mut profile = Profile::new(program);
    profile.args = words.iter().map(Into::into).collect();
    profile.grace = Duration::from_millis(100);
    profile.isolation = layers.isolation(facts)?;
    started(&profile).map(|child| Program::Jailed(Box::new(child)))
}

fn started(profile: &Profile) -> Result<Child, String> {
    spawn(profile, &Jailer::this_program()).map_err(|error| {
        let source = std::error::Error::source(&error).map(|it| format!(": {it}"));
        format!("{error}{}", source.unwrap_or_default())
    })
}

/// Another server with a secret of its own, in a sandbox of its own.
fn neighbour(facts: &Facts, secret: &str) -> Result<Child, String> {
    let mut profile = Profile::new(facts.path("server")?.join("program"));
    profile.args = vec!["stay".into()];
    let mut own = isolation(facts)?;
    own.write.clear();
    own.files.insert("token".into(), PrivateFile::new(secret.as_bytes().to_vec()));
    profile.isolation = Some(own);
    let mut child = started(&profile)?;
    let stdout = child.stdout.take().map(File::from).ok_or("it has no output")?;
    BufReader::new(stdout).read_line(&mut String::new()).map_err(why)?;
    Ok(child)
}
