//! However a program or its gateway ends, nothing stays behind.
use std::{sync::Arc, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tagout_sandbox::{Child, Exit};

use crate::bench::{PROBE, all_of, eventually, field, is_gone, lines, pid, profile, shell, start};

fn process(child: &Child) -> Pid {
    pid(&child.pid().to_string())
}

fn jailer_of(child: &Child) -> Pid {
    let status = std::fs::read(format!("/proc/{}/status", child.pid())).unwrap();
    pid(field(&String::from_utf8(status).unwrap(), "PPid:"))
}

/// A program of which a descendant has left group, session and parent.
fn escaping(how: &str) -> (Child, Pid) {
    let mut child = start(&profile(PROBE, &["escape", how]));
    let line = lines(child.stdout.take().unwrap()).next().unwrap();
    (child, pid(field(&line, "escaped")))
}

#[test]
fn its_exit_is_reported() {
    assert_eq!(shell("exit 0").wait(), Exit::Code(0));
    assert_eq!(shell("exit 42").wait(), Exit::Code(42));
    assert_eq!(shell("kill -9 $$").wait(), Exit::Signal(9));
    assert_eq!(shell("kill -PIPE $$").wait(), Exit::Signal(13));
}

#[test]
fn waiting_again_gives_the_same() {
    let child = shell("cat; exit 5");
    assert_eq!(child.try_wait(), None);
    let mut child = child;
    drop(child.stdin.take());
    let mut polled = None;
    eventually("the exit is polled", || {
        polled = child.try_wait();
        polled.is_some()
    });
    assert_eq!(
        (polled, child.try_wait(), child.wait()),
        (Some(Exit::Code(5)), polled, Exit::Code(5))
    );
    child.stop();
    child.kill();
}

#[test]
fn what_it_reads_and_writes_goes_through() {
    let mut child = shell("cat; echo complaint >&2");
    let mut stdin = std::fs::File::from(child.stdin.take().unwrap());
    std::io::Write::write_all(&mut stdin, b"there and back").unwrap();
    drop(stdin);
    assert_eq!(all_of(child.stdout.take()), "there and back");
    assert_eq!(all_of(child.stderr.take()), "complaint\n");
    assert_eq!(child.wait(), Exit::Code(0));
}

#[test]
fn stopping_is_polite_first() {
    let mut child = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    assert_eq!(lines(child.stdout.take().unwrap()).next().unwrap(), "ready");
    child.stop();
    assert_eq!(child.wait(), Exit::Code(7));
}

#[test]
fn stopping_is_forced_after_the_grace() {
    let mut stubborn =
        profile("/bin/sh", &["-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"]);
    stubborn.grace = Duration::from_millis(100);
    let mut child = start(&stubborn);
    assert_eq!(lines(child.stdout.take().unwrap()).next().unwrap(), "ready");
    child.stop();
    assert_eq!(child.wait(), Exit::Signal(9));
}

#[test]
fn one_thread_waits_while_another_kills() {
    let child = Arc::new(shell("cat"));
    let waiting = thread::spawn({
        let child = Arc::clone(&child);
        move || child.wait()
    });
    child.kill();
    assert_eq!(waiting.join().unwrap(), Exit::Signal(9));
}

#[test]
fn a_descendant_that_left_ends_with_the_program() {
    let (mut child, escaped) = escaping("leave");
    assert!(!is_gone(escaped));
    drop(child.stdin.take());
    assert_eq!(child.wait(), Exit::Code(3));
    assert!(is_gone(escaped), "after `wait` nothing is left");
}

#[test]
fn dropping_ends_all() {
    let (child, escaped) = escaping("stay");
    let (program, jailer) = (process(&child), jailer_of(&child));
    drop(child);
    for (name, process) in [("program", program), ("escaped", escaped), ("jailer", jailer)] {
        eventually(name, || is_gone(process));
    }
}

#[test]
fn a_gateway_killed_at_once_takes_all_along() {
    let mut gateway = start(&profile(PROBE, &["gateway", PROBE, "escape", "stay"]));
    let mut said = lines(gateway.stdout.take().unwrap());
    let program = pid(field(&said.next().unwrap(), "program"));
    let escaped = pid(field(&said.next().unwrap(), "escaped"));
    let status = std::fs::read(format!("/proc/{program}/status")).unwrap();
    let jailer = pid(field(&String::from_utf8(status).unwrap(), "PPid:"));

    // Only the gateway itself, as the kernel's memory killer would; its own jailer would otherwise
    // end the rest.
    let outer = jailer_of(&gateway);
    rustix::process::kill_process(outer, Signal::STOP).unwrap();
    kill_process(process(&gateway), Signal::KILL).unwrap();
    for (name, process) in [("program", program), ("escaped", escaped), ("jailer", jailer)] {
        eventually(name, || is_gone(process));
    }
    rustix::process::kill_process(outer, Signal::CONT).unwrap();
    assert_eq!(gateway.wait(), Exit::Signal(9));
}

#[test]
fn a_killed_jailer_takes_the_program_along() {
    let child = shell("cat");
    kill_process(jailer_of(&child), Signal::KILL).unwrap();
    assert_eq!(child.wait(), Exit::Lost);
    eventually("the program is gone", || is_gone(process(&child)));
}

#[test]
fn a_jailer_that_is_asked_to_end_ends_all_first() {
    let (child, escaped) = escaping("stay");
    kill_process(jailer_of(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait(), Exit::Signal(15));
    assert!(is_gone(escaped));
}

#[test]
fn fifty_starts_leave_nothing() {
    let mut child = start(&profile(PROBE, &["many"]));
    let said = all_of(child.stdout.take());
    assert_eq!(field(&said, "children left:"), "[]", "{said}");
    assert_eq!(field(&said, "descriptors more:"), "0", "{said}");
}
