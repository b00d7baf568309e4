//! Text of models and tools, made safe for a terminal.
use std::{iter::Peekable, str::Chars};

/// How many characters an escape string may have to be taken out whole. An endless one would hide
/// whatever follows it, so its text is shown instead.
const ESCAPE_STRING: usize = 4_096;

/// `text` without terminal control, and with what cannot be seen made visible.
///
/// - Escape sequences (CSI, OSC, DCS and their like, also in their one-character forms) go.
/// - Other control characters go, but for line breaks and tabs; a carriage return goes too, because
///   it lets later text overwrite earlier text.
/// - Bidirectional controls, zero-width and other invisible characters show as `<U+202E>`.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' | '\t' => out.push(character),
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            c if c.is_control() => {}
            c if is_invisible(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// After ESC (ECMA-48, 5.4 and 8.3).
fn skip_escape(rest: &mut Peekable<Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        Some(' '..='/') => {
            while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            rest.next_if(|c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => {
            rest.next();
        }
        Some(_) | None => {}
    }
}

/// After CSI: parameters, intermediates, one final character.
fn skip_control_sequence(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// After OSC, DCS, SOS, PM or APC: up to BEL or ST, if there is one near by.
fn skip_string(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    for _ in 0..ESCAPE_STRING {
        match ahead.next() {
            Some('\u{7}' | '\u{9c}') => break,
            Some('\u{1b}') if ahead.peek() == Some(&'\\') => {
                ahead.next();
                break;
            }
            Some('\n') | None => return,
            Some(_) => {}
        }
    }
    *rest = ahead;
}

/// Characters that change how others show, or do not show themselves (Unicode 16: the bidirectional
/// controls, default-ignorable code points but for the emoji variation selectors, line and
/// paragraph separators).
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_goes_and_the_invisible_shows() {
        let endless = format!("a\u{1b}]0;title{}", "x".repeat(10));
        for (text, expected) in [
            ("plain, schön 漢字 🙂\n\tnext", "plain, schön 漢字 🙂\n\tnext"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{9b}31mred", "red"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]8;;https://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\b", "alinkb"),
            ("a\u{1b}P1$r\u{1b}\\b\u{9d}52;c;aGk=\u{9c}c", "abc"),
            ("safe\rEVIL\u{8}\u{0}\u{7f}", "safeEVIL"),
            ("user\u{202e}gnp.exe\u{2066}", "user<U+202E>gnp.exe<U+2066>"),
            ("a\u{200b}b\u{e0041}c\u{feff}", "a<U+200B>b<U+E0041>c<U+FEFF>"),
            (endless.as_str(), "a0;titlexxxxxxxxxx"),
            ("a\u{1b}]0;one line\nanother", "a0;one line\nanother"),
            ("end\u{1b}", "end"),
            ("\u{1b}(Bx\u{1b}cy", "xy"),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
        }
    }
}
