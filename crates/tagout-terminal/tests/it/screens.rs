//! What the environment says about terminals.
use std::collections::BTreeMap;

use tagout_terminal::{Pictures, Screen, Size};

fn screen(variables: &[(&str, &str)]) -> Screen {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    Screen::detect(|name| variables.get(name).map(|value| (*value).to_owned()), true, None)
}

#[test]
fn terminals_are_known_by_what_they_say() {
    use Pictures::{Blocks, Iterm2, Kitty, Path, Sixel};
    let cases: &[(&[(&str, &str)], Pictures)] = &[
        (&[("TERM", "xterm-kitty")], Kitty),
        (&[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")], Kitty),
        (&[("TERM", "xterm-ghostty")], Kitty),
        (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "ghostty")], Kitty),
        (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")], Iterm2),
        (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")], Iterm2),
        (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "vscode")], Iterm2),
        (&[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")], Iterm2),
        (&[("TERM", "foot")], Sixel),
        (&[("TERM", "foot-extra")], Sixel),
        (&[("TERM", "mlterm")], Sixel),
        (&[("TERM", "xterm-sixel")], Sixel),
        (&[("TERM", "xterm-256color")], Blocks),
        (&[("TERM", "xterm"), ("COLORTERM", "truecolor")], Blocks),
        (&[("TERM", "xterm")], Path),
        (&[("TERM", "linux")], Path),
        (&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], Path),
        (&[("TERM", "dumb"), ("COLORTERM", "truecolor")], Path),
        (&[("COLORTERM", "truecolor")], Path),
        (&[("TERM", "tmux-256color"), ("TMUX", "/s"), ("KITTY_WINDOW_ID", "1")], Blocks),
        (&[("TERM", "screen-256color"), ("TERM_PROGRAM", "WezTerm")], Blocks),
    ];
    for (variables, pictures) in cases {
        assert_eq!(screen(variables).pictures(), *pictures, "{variables:?}");
    }
}

#[test]
fn colours_can_be_switched_off() {
    assert!(screen(&[("TERM", "xterm")]).colours());
    assert!(screen(&[("TERM", "xterm"), ("NO_COLOR", "")]).colours());
    let without = screen(&[("TERM", "xterm"), ("NO_COLOR", "1")]);
    assert!(!without.colours() && without.is_terminal());
    for dumb in [screen(&[("TERM", "dumb")]), screen(&[]), Screen::plain()] {
        assert!(!dumb.colours() && !dumb.is_terminal());
    }
    let piped = Screen::detect(|_| Some("xterm-kitty".into()), false, None);
    assert!(!piped.colours() && piped.pictures() == Pictures::Path);
}

#[test]
fn the_person_has_the_last_word_about_pictures() {
    let kitty = screen(&[("TERM", "xterm-kitty")]);
    assert_eq!(kitty.with_pictures("blocks".parse().unwrap()).pictures(), Pictures::Blocks);
    assert_eq!(Screen::plain().with_pictures(Pictures::Kitty).pictures(), Pictures::Path);
    let unknown = "auto".parse::<Pictures>().unwrap_err().to_string();
    insta::assert_snapshot!(unknown, @"pictures are shown by `kitty`, `iterm2`, `sixel`, `blocks` or `path`");
}

#[test]
fn a_file_has_no_size() {
    assert_eq!(Size::of(std::fs::File::open("/dev/null").unwrap()), None);
}
