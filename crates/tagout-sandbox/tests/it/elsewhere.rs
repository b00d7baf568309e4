//! What starts on systems other than Linux, and what does not.
use std::{
    fs::File,
    io::{Read, Write},
    time::Duration,
};

use tagout_sandbox::{
    Exit, Found, Isolation, Jailer, Part, Profile, SpawnError, observe, spawn, survey,
};

fn shell(script: &str) -> Profile {
    let mut profile = Profile::new("/bin/sh");
    profile.args = vec!["-c".into(), script.into()];
    profile.env.insert("GIVEN".into(), "yes".into());
    profile
}

fn jailer() -> Jailer {
    Jailer::this_program()
}

fn said(output: Option<std::os::fd::OwnedFd>) -> String {
    let mut text = String::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by `take`")]
    File::from(output.unwrap()).take(1 << 16).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_program_that_is_not_isolated_gets_what_its_profile_names() {
    let script = "echo \"$GIVEN $HOME $(pwd)\"; read line; echo \"$line\" >&2; exit 3";
    let mut child = spawn(&shell(script), &jailer()).unwrap();
    File::from(child.stdin.take().unwrap()).write_all(b"heard\n").unwrap();
    assert_eq!(said(child.stdout.take()), "yes  /\n");
    assert_eq!(said(child.stderr.take()), "heard\n");
    assert_eq!((child.wait(), child.wait()), (Exit::Code(3), Exit::Code(3)));
    assert_eq!(child.try_wait(), Some(Exit::Code(3)));
    // They have nothing to do, and nobody to do it to.
    child.stop();
    child.kill();
}

#[test]
fn it_is_stopped_and_killed_with_its_group() {
    let kill = |patient: bool| {
        let trap = if patient { "trap '' TERM; " } else { "" };
        let mut profile = shell(&format!("{trap}sleep 3600 & echo ready; wait; sleep 3600"));
        profile.grace = Duration::from_millis(50);
        let mut child = spawn(&profile, &jailer()).unwrap();
        let mut ready = [0; 6];
        let mut stdout = File::from(child.stdout.take().unwrap());
        stdout.read_exact(&mut ready).unwrap();
        assert_eq!(child.try_wait(), None);
        child.stop();
        let exit = std::thread::scope(|scope| scope.spawn(|| child.wait()).join()).unwrap();
        // All that hold its other end are gone.
        assert_eq!(stdout.read(&mut ready).unwrap(), 0);
        exit
    };
    assert_eq!(kill(false), Exit::Signal(15));
    assert_eq!(kill(true), Exit::Signal(9));

    let mut child = spawn(&shell("sleep 3600 & exec cat"), &jailer()).unwrap();
    let stdout = child.stdout.take();
    drop(child);
    assert_eq!(said(stdout), "", "it ends");
}

#[test]
fn nothing_is_isolated_and_all_of_it_is_said() {
    let mut profile = shell("true");
    let isolation = Isolation { accepted: Part::ALL.into(), ..Isolation::default() };
    profile.isolation = Some(isolation);
    let refused = spawn(&profile, &jailer()).unwrap_err();
    let watched = observe(&shell("true"), &jailer(), None).unwrap_err();
    for error in [refused, watched] {
        assert_eq!(error.code(), "sandbox-degraded");
        assert!(error.help().contains("isolation = \"none\""), "{}", error.help());
        let SpawnError::Missing { parts } = error else { panic!("{error}") };
        assert_eq!(parts.len(), Part::ALL.len());
        assert!(parts.iter().all(|(_, why)| why == "this system is not Linux"));
    }
    let survey = survey(&jailer()).unwrap();
    assert_eq!(survey.missing().len(), Part::ALL.len());
    let says = |found: &Found| matches!(found, Found::Missing { remedy, .. } if remedy.starts_with("use Linux"));
    assert!(survey.parts.values().all(says));
}

#[test]
fn what_cannot_start_is_told_apart() {
    let code = |change: &dyn Fn(&mut Profile)| {
        let mut profile = shell("true");
        change(&mut profile);
        spawn(&profile, &jailer()).unwrap_err().code()
    };
    assert_eq!(code(&|profile| profile.program = "/nowhere".into()), "sandbox-program");
    assert_eq!(code(&|profile| profile.cwd = Some("/nowhere".into())), "sandbox-path");
    assert_eq!(code(&|profile| profile.cwd = Some("/bin/sh".into())), "sandbox-path");
    assert_eq!(code(&|profile| profile.program = "sh".into()), "sandbox-program");
}
