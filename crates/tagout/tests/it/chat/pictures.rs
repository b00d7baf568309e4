//! Pictures that tools return, by each way that terminals have.
use super::talk::{Chair, Talk};
use crate::place::Place;

const CHART: &str = "Show me the hourly load profile";

/// The bytes that the terminal got while a chart was shown.
fn shown(way: &str, env: &[(&str, &str)]) -> (String, Talk) {
    let place = Place::new();
    place.configure(&format!("[server.grid]\nbuiltin = \"grid\"\n[host]\npictures = \"{way}\"\n"));
    let mut chair = Chair::new(&place, &["chat"]);
    for (name, value) in env {
        chair = chair.env(name, value);
    }
    let mut talk = chair.talk();
    talk.says(CHART);
    talk.sees("picture: ");
    talk.prompted();
    let path = place.path("state/tagout/pictures");
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 1);
    talk.leaves();
    (String::from_utf8_lossy(&talk.pty.bytes()).into_owned(), talk)
}

#[test]
fn each_way_is_spoken_where_it_is_wanted() {
    for (way, sign) in [
        ("kitty", "\u{1b}_G"),
        ("iterm2", "\u{1b}]1337;File="),
        ("sixel", "\u{1b}P"),
        ("blocks", "▀"),
    ] {
        let (bytes, talk) = shown(way, &[("TERM", "xterm-256color")]);
        assert!(bytes.contains(sign), "{way}: {}", talk.screen());
        for other in ["\u{1b}_G", "\u{1b}]1337;File=", "\u{1b}P"] {
            assert_eq!(bytes.contains(other), sign == other, "{way} {other:?}");
        }
    }
}

#[test]
fn a_path_is_all_where_nothing_can_be_shown() {
    for env in [[("TERM", "xterm")], [("TERM", "dumb")]] {
        let (bytes, _) = shown("auto", &env);
        assert!(!bytes.contains("\u{1b}_G") && !bytes.contains('▀'), "{env:?}");
        assert!(bytes.contains("picture: "));
    }
    let (bytes, _) = shown("path", &[("TERM", "xterm-kitty")]);
    assert!(!bytes.contains("\u{1b}_G"));
}

#[test]
fn the_terminal_says_by_itself_what_it_can() {
    for (env, sign) in [
        (vec![("TERM", "xterm-kitty")], "\u{1b}_G"),
        (vec![("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")], "\u{1b}]1337;File="),
        (vec![("TERM", "foot")], "\u{1b}P"),
        (vec![("TERM", "xterm-256color")], "▀"),
    ] {
        let (bytes, _) = shown("auto", &env);
        assert!(bytes.contains(sign), "{env:?}");
    }
}

#[test]
fn what_is_not_kept_leaves_no_picture() {
    let place = Place::new();
    std::fs::create_dir(place.path("run")).unwrap();
    let run = place.path("run");
    let chair = Chair::new(&place, &["chat", "--no-keep"]);
    let mut talk = chair.env("XDG_RUNTIME_DIR", run.to_str().unwrap()).talk();
    talk.says(CHART);
    talk.sees("picture:");
    talk.prompted();
    let inside = || std::fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
    let folder = inside().next().unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    assert!(!place.path("state/tagout/pictures").exists());
    talk.leaves();
    assert_eq!(inside().count(), 0, "{folder:?}");
}
