//! A person at a terminal.
use std::{
    io::{BufRead, BufReader, Write},
    time::Duration,
};

use tagout_testkit::pty::{Pty, PtyError, Seat, Streams};

const PATIENCE: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Seat {
    let mut seat = Seat::new("/bin/sh");
    seat.args = vec!["-c".into(), script.into()];
    seat
}

#[test]
fn what_is_typed_arrives_and_what_shows_is_read() {
    let mut pty = Pty::spawn(&shell(
        "test -t 0 && test -t 1 && stty size && printf '\\033[1mname\\033[0m? ' && read n && echo hello $n; exit 4",
    ))
    .unwrap();
    assert_eq!(pty.expect("name? ", PATIENCE).unwrap(), "40 100\nname? ");
    pty.send("Ada\n").unwrap();
    pty.expect("hello Ada", PATIENCE).unwrap();
    assert_eq!(pty.wait(PATIENCE).unwrap().code(), Some(4));
    assert_eq!(pty.screen(), "40 100\nname? Ada\nhello Ada\n");
}

#[test]
fn the_terminal_can_stand_beside_pipes() {
    let mut seat =
        shell("test -t 0 || read a < /dev/tty; read b; echo \"$a $b\"; echo bye > /dev/tty");
    seat.streams = Streams::Piped;
    let mut pty = Pty::spawn(&seat).unwrap();
    pty.stdin.take().unwrap().write_all(b"piped\n").unwrap();
    pty.send("typed\n").unwrap();
    let line = BufReader::new(pty.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(line, "typed piped");
    pty.expect("bye", PATIENCE).unwrap();
    assert!(pty.wait(PATIENCE).unwrap().success());
}

#[test]
fn what_does_not_show_is_said_with_what_did() {
    let mut pty = Pty::spawn(&shell("echo other")).unwrap();
    let error = pty.expect("this", PATIENCE).unwrap_err();
    let PtyError::NotShown { screen, .. } = error else { panic!("{error}") };
    assert_eq!(screen, "other\n");
}

#[test]
fn control_c_interrupts() {
    let mut pty = Pty::spawn(&shell(
        "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.01; done",
    ))
    .unwrap();
    pty.expect("ready", PATIENCE).unwrap();
    pty.send("\x03").unwrap();
    pty.expect("interrupted", PATIENCE).unwrap();
    assert_eq!(pty.wait(PATIENCE).unwrap().code(), Some(9));
}

#[test]
fn a_program_that_shows_nothing_ends_all_the_same() {
    let mut pty = Pty::spawn(&shell("exit 2")).unwrap();
    assert!(pty.expect("anything", PATIENCE).is_err());
    assert_eq!(pty.wait(PATIENCE).unwrap().code(), Some(2));
}
