//! A person at a terminal, and what is read of what they type.
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    process::{ChildStdin, ChildStdout},
    thread,
    time::Duration,
};

use tagout_terminal::{
    Answered, Asked, Candidate, Complete, Editor, Hush, Read, Screen, Size, Withdrawn, ask_line,
    withdrawal,
};
use tagout_testkit::pty::{Pty, Seat, Streams};

const SOON: Duration = Duration::from_secs(20);
/// How often something is tried that may go wrong only sometimes.
const TIMES: usize = 20;
/// What this program is to do when it is started again on a terminal.
const ROLE: &str = "TAGOUT_TERMINAL_ROLE";

/// Not a test by itself: the program that the others type to.
#[test]
fn role() {
    let said = |text: String| {
        io::stdout().write_all(text.as_bytes()).unwrap();
        io::stdout().flush().unwrap();
    };
    match std::env::var(ROLE).as_deref() {
        Ok("edit") => edit(&said),
        Ok("ask") => said(format!("{:?}\r\n", asked(SOON))),
        Ok("ask-twice") => {
            said(format!("{:?}\r\n", asked(Duration::from_millis(300))));
            said(format!("{:?}\r\n", asked(SOON)));
        }
        Ok("ask-after-withdrawn") => ask_after_withdrawn(&said),
        Ok("ask-at-once") => ask_at_once(&said),
        Ok("hush-ends-first") => hush_ends_first(&said),
        Ok("hush") => {
            let hush = Hush::new().unwrap();
            said("quiet ".into());
            thread::sleep(Duration::from_millis(300));
            said(format!("{:?} ", asked(Duration::from_millis(500))));
            drop(hush);
            said("loud\r\n".into());
            let mut line = String::new();
            io::stdin().read_line(&mut line).unwrap();
            said(format!("{line:?}\r\n"));
        }
        Ok("ask-withdrawn") => {
            let (waiting, withdrawn) = withdrawal().unwrap();
            let question = thread::spawn(move || asked_of("Think.", &withdrawn));
            told();
            drop(waiting);
            said(format!("{:?}\r\n", question.join().unwrap()));
        }
        _ => {}
    }
}

fn screen() -> Screen {
    let out = io::stdout();
    Screen::detect(|name| std::env::var(name).ok(), out.is_terminal(), Size::of(&out))
}

fn asked(limit: Duration) -> Answered {
    let question = "How \u{1b}[31mmany? Think.";
    let (_waiting, withdrawn) = withdrawal().unwrap();
    ask_line(&Asked { question, limit, withdrawn: &withdrawn, screen: &screen() }).unwrap()
}

fn asked_of(question: &str, withdrawn: &Withdrawn) -> Answered {
    // Only a withdrawal ends it without an answer.
    ask_line(&Asked { question, limit: Duration::MAX, withdrawn, screen: &screen() }).unwrap()
}

/// Waits until the test says so.
fn told() {
    assert_ne!(io::stdin().read_line(&mut String::new()).unwrap(), 0);
}

/// A question that is withdrawn, and at once another.
fn ask_after_withdrawn(said: &dyn Fn(String)) {
    for n in 0..TIMES {
        let (waiting, withdrawn) = withdrawal().unwrap();
        let first = thread::spawn(move || asked_of(&format!("First {n}?"), &withdrawn));
        told();
        drop(waiting);
        let (_waiting, withdrawn) = withdrawal().unwrap();
        let second = asked_of(&format!("Second {n}?"), &withdrawn);
        said(format!("{:?} {second:?}\n", first.join().unwrap()));
    }
}

/// Questions of several threads, and one that is withdrawn before its turn.
fn ask_at_once(said: &dyn Fn(String)) {
    let ask = || {
        let (waiting, withdrawn) = withdrawal().unwrap();
        (waiting, thread::spawn(move || asked_of("What?", &withdrawn)))
    };
    let (_one, first) = ask();
    told();
    let (_two, second) = ask();
    let (three, third) = ask();
    drop(three);
    said(format!("{:?}\n", third.join().unwrap()));
    for question in [first, second] {
        said(format!("{:?}\n", question.join().unwrap()));
    }
}

fn hush_ends_first(said: &dyn Fn(String)) {
    let hush = Hush::new().unwrap();
    let question = thread::spawn(|| asked(SOON));
    told();
    drop(hush);
    said(format!("{:?}\n", question.join().unwrap()));
    let terminal = fs::File::open("/dev/tty").unwrap();
    let modes = rustix::termios::tcgetattr(terminal).unwrap().local_modes;
    said(format!("echo: {}\n", modes.contains(rustix::termios::LocalModes::ECHO)));
}

fn edit(said: &dyn Fn(String)) {
    let complete: Complete = Box::new(|line, pos| {
        let words = ["/help", "/model", "/model-check", "@grid:\u{1b}[31mdata"];
        let fitting = words.iter().filter(|word| word.starts_with(&line[..pos]));
        let candidate = |word: &&str| Candidate {
            replacement: format!("{word} "),
            display: (*word).to_owned(),
        };
        (0, fitting.map(candidate).collect())
    });
    let history = ["first".to_owned(), "second".to_owned()];
    let mut editor = Editor::new(&screen(), history, Some(complete)).unwrap();
    loop {
        let read = editor.read("you> ").unwrap();
        if let Read::Text(text) = &read {
            editor.remember(text);
        }
        said(format!("{read:?}.\r\n"));
        if read == Read::End {
            return;
        }
    }
}

fn seat(role: &str, term: &str) -> Seat {
    let mut seat = Seat::new(std::env::current_exe().unwrap());
    seat.args = ["typing::role", "--exact", "--nocapture"].map(Into::into).to_vec();
    seat.env = BTreeMap::from([(ROLE.into(), role.into()), ("TERM".into(), term.into())]);
    seat
}

fn sit(role: &str) -> Pty {
    Pty::spawn(&seat(role, "xterm-256color")).unwrap()
}

/// Types each, and waits for what shows.
fn talk(pty: &mut Pty, talk: &[(&str, &str)]) {
    for (typed, shown) in talk {
        pty.expect("you> ", SOON).unwrap();
        pty.send(typed).unwrap();
        pty.expect(shown, SOON).unwrap_or_else(|error| panic!("{typed:?}: {error}"));
    }
}

#[test]
fn texts_are_typed_completed_and_gone_back_to() {
    let mut pty = sit("edit");
    talk(
        &mut pty,
        &[
            ("hello schön\r", "Text(\"hello schön\")."),
            ("/he\t\r", "Text(\"/help \")."),
            ("\u{1b}[A\u{1b}[A\u{1b}[A\r", "Text(\"second\")."),
            ("one\\\rtwo\r", "Text(\"one\\ntwo\")."),
            ("@g\t\r", "Text(\"@grid:data \")."),
            ("begun\u{3}", "Interrupted."),
            ("\u{4}", "End."),
        ],
    );
    assert!(pty.wait(SOON).unwrap().success());
}

#[test]
fn candidates_are_listed() {
    let mut pty = sit("edit");
    pty.expect("you> ", SOON).unwrap();
    pty.send("/m\t\t").unwrap();
    pty.expect("/model-check", SOON).unwrap();
}

#[test]
fn what_is_pasted_is_one_text_and_its_control_is_seen() {
    let mut pty = sit("edit");
    let pasted = "\u{1b}[200~rm -rf \\\ntwo\u{7}\u{8}\u{9b}31m\u{202e}x\u{1b}[201~";
    pty.expect("you> ", SOON).unwrap();
    pty.send(pasted).unwrap();
    pty.expect("two\u{2407}\u{2408}\u{fffd}31m\u{fffd}x", SOON).unwrap();
    pty.send("\r").unwrap();
    let text = r#"Text("rm -rf \\\ntwo<U+0007><U+0008><U+009B>31m<U+202E>x")."#;
    pty.expect(text, SOON).unwrap();
}

#[test]
fn a_dumb_terminal_reads_lines() {
    let mut pty = Pty::spawn(&seat("edit", "dumb")).unwrap();
    talk(
        &mut pty,
        &[
            ("hello\n", "Text(\"hello\")."),
            ("one\\\ntwo\n", "Text(\"one\\ntwo\")."),
            ("\u{4}", "End."),
        ],
    );
    assert!(!pty.screen().contains('\u{1b}'));
}

#[test]
fn input_that_nobody_types_is_read_in_lines() {
    let mut seat = seat("edit", "xterm");
    seat.streams = Streams::Piped;
    let mut pty = Pty::spawn(&seat).unwrap();
    let mut stdin = pty.stdin.take().unwrap();
    stdin.write_all(b"a\\\r\n\xff\x1b[31m\nlast").unwrap();
    drop(stdin);
    let read = io::read_to_string(pty.stdout.take().unwrap()).unwrap();
    let expected =
        "Text(\"a\\\\\").\r\nText(\"\u{fffd}<U+001B>[31m\").\r\nText(\"last\").\r\nEnd.\r\n";
    assert!(read.contains(expected), "{read:?}");
}

#[test]
fn a_question_is_answered_by_what_is_typed_after_it() {
    let mut pty = sit("ask");
    pty.expect("How many? Think. ", SOON).unwrap();
    pty.send("42\t\u{7f}x\n").unwrap();
    pty.expect("Line(\"42x\")", SOON).unwrap();
}

#[test]
fn what_was_begun_for_one_question_is_no_answer_to_the_next() {
    let mut pty = sit("ask-twice");
    pty.expect("Think. ", SOON).unwrap();
    pty.send("ye").unwrap();
    pty.expect("TimedOut", SOON).unwrap();
    pty.expect("Think. ", SOON).unwrap();
    pty.send("no\n").unwrap();
    pty.expect("Line(\"no\")", SOON).unwrap();
}

/// A program on a terminal, which is told by its standard input when to go on, and what it says.
struct Told {
    pty: Pty,
    stdin: ChildStdin,
    said: io::Lines<BufReader<ChildStdout>>,
}

impl Told {
    fn sit(role: &str) -> Self {
        let seat = Seat { streams: Streams::Piped, ..seat(role, "xterm-256color") };
        let mut pty = Pty::spawn(&seat).unwrap();
        let stdin = pty.stdin.take().unwrap();
        let said = BufReader::new(pty.stdout.take().unwrap()).lines();
        Self { pty, stdin, said }
    }

    fn shows(&mut self, text: &str) -> String {
        self.pty.expect(text, SOON).unwrap()
    }

    fn goes_on(&mut self) {
        self.stdin.write_all(b"\n").unwrap();
    }

    fn says(&mut self, text: &str) {
        let found = self.said.by_ref().map(Result::unwrap).find(|line| line.contains(text));
        assert!(found.is_some(), "{text} was never said; this showed: {}", self.pty.screen());
    }
}

#[test]
fn a_question_can_be_withdrawn_or_left() {
    let mut told = Told::sit("ask-withdrawn");
    told.shows("Think. ");
    told.goes_on();
    told.says("Withdrawn");
    let mut pty = sit("ask");
    pty.expect("Think. ", SOON).unwrap();
    pty.send("\u{4}").unwrap();
    pty.expect("End", SOON).unwrap();
}

#[test]
fn a_withdrawn_question_takes_nothing_from_the_next() {
    let mut told = Told::sit("ask-after-withdrawn");
    for n in 0..TIMES {
        told.shows(&format!("First {n}? "));
        told.pty.send("beg").unwrap();
        told.goes_on();
        told.shows(&format!("Second {n}? "));
        told.pty.send(&format!("answer {n}\n")).unwrap();
        told.says(&format!("Withdrawn Line(\"answer {n}\")"));
    }
}

#[test]
fn questions_wait_for_one_another() {
    let mut told = Told::sit("ask-at-once");
    told.shows("What? ");
    told.goes_on();
    // The third never came to its turn; the first still waits.
    told.says("Withdrawn");
    told.pty.send("one\n").unwrap();
    told.says("Line(\"one\")");
    assert_eq!(told.shows("What? "), "one\nWhat? ");
    told.pty.send("two\n").unwrap();
    told.says("Line(\"two\")");
}

#[test]
fn what_was_before_comes_back_whoever_ends_first() {
    let mut told = Told::sit("hush-ends-first");
    told.shows("Think. ");
    told.goes_on();
    told.pty.send("42\n").unwrap();
    told.says("Line(\"42\")");
    told.says("echo: true");
}

#[test]
fn what_is_typed_in_silence_does_not_show() {
    let mut pty = sit("hush");
    pty.expect("quiet ", SOON).unwrap();
    pty.send("unseen").unwrap();
    // A question shows what is typed again, and takes nothing that came before it.
    let shown = pty.expect("Think. ", SOON).unwrap();
    assert!(!shown.contains("unseen"), "{shown}");
    pty.send("seen").unwrap();
    pty.expect("seen", SOON).unwrap();
    pty.expect("loud", SOON).unwrap();
    pty.send("next\n").unwrap();
    pty.expect("next\n\"next\\n\"", SOON).unwrap();
}

#[test]
fn editors_go_to_other_threads() {
    fn goes<T: Send + 'static>() {}
    goes::<Editor>();
    goes::<tagout_terminal::Markdown>();
    goes::<tagout_terminal::Progress>();
}
