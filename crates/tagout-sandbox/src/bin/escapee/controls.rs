//! What any program needs, so that a sandbox in which nothing runs does not pass for a good one.
use std::{fs, path::Path, process::Command, thread};

use crate::{
    attempt::{Attempt, Facts, Outcome, why},
    seen::Seen,
};

pub(super) const ALL: &[Attempt] = &[
    Attempt::new("control-read", "read its own code", read, Seen::said).control(),
    Attempt::new("control-write", "write where it may", write, |seen| seen.written("out/kept"))
        .control(),
    Attempt::new("control-tmp", "write into `/tmp`", tmp, Seen::said).control(),
    Attempt::new("control-run", "run a program of the system's", run, Seen::said).control(),
    Attempt::new("control-threads", "start some threads", threads, Seen::said).control(),
];

fn read(facts: &Facts) -> Outcome {
    crate::attempt::read(&facts.path("server")?.join("code.js"))
}

fn write(facts: &Facts) -> Outcome {
    fs::write(facts.path("out")?.join("kept"), facts.text("mark")?).map_err(why)?;
    Ok(String::from("written"))
}

fn tmp(_: &Facts) -> Outcome {
    let path = Path::new("/tmp").join(format!("tagout-escape-own-{}", std::process::id()));
    let done = fs::write(&path, "x").map_err(why);
    fs::remove_file(&path).ok();
    done.map(|()| String::from("written"))
}

fn run(_: &Facts) -> Outcome {
    #[expect(clippy::disallowed_methods, reason = "a hostile program starts what it likes")]
    let out = Command::new("/bin/sh").args(["-c", "echo ran"]).output().map_err(why)?;
    let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    if said == "ran" { Ok(said) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

fn threads(_: &Facts) -> Outcome {
    let started: Vec<_> = (0..8_u32).map(|number| thread::spawn(move || number)).collect();
    let ended = started.into_iter().filter_map(|thread| thread.join().ok()).count();
    if ended == 8 { Ok(String::from("all ended")) } else { Err(format!("{ended} of 8")) }
}
