//! Text of models and tools, made safe for a terminal.
use unicode_width::UnicodeWidthChar as _;

/// How many characters an escape string may have to be taken out whole. An endless one would hide
/// whatever follows it, so its text is shown instead.
const ESCAPE_STRING: usize = 4_096;
/// How many characters a control sequence may have between its introducer and its end.
const PARAMETERS: usize = 64;
/// How many marks without a width of their own may follow one another. No script needs more, and a
/// flood of them runs over the lines above and below.
const MARKS: usize = 8;

/// `text` without terminal control, and with what cannot be seen made visible.
///
/// - Escape sequences (CSI, OSC, DCS and their like, also in their one-character forms) go.
/// - Other control characters go, but for line breaks and tabs; a carriage return goes too, because
///   it lets later text overwrite earlier text.
/// - Bidirectional controls, zero-width and other invisible characters show as `<U+202E>`, and so
///   do combining marks that are piled up.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut cleaner = Cleaner::default();
    let mut out = cleaner.push(text);
    out.push_str(&cleaner.finish());
    out
}

/// [`printable`] for text that comes in pieces: however it is cut, the same comes out.
#[derive(Clone, Debug, Default)]
pub struct Cleaner {
    state: State,
    /// How many marks without a width were the last.
    marks: usize,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and intermediate characters.
    Intermediate,
    /// After CSI and so many characters.
    Control(usize),
    /// After OSC, DCS, SOS, PM or APC; held, because without an end it is text.
    String(Held),
}

#[derive(Clone, Debug, Default)]
struct Held {
    text: String,
    characters: usize,
    /// The last was ESC, perhaps the first half of the end.
    escape: bool,
}

impl Cleaner {
    /// What of the text so far can be shown. What may still turn out to be control is held back, at
    /// most a few kilobytes.
    #[must_use]
    pub fn push(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for character in text.chars() {
            self.take(character, &mut out);
        }
        out
    }

    /// The rest: there comes no more.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        if let State::String(held) = std::mem::take(&mut self.state) {
            self.show(&held.text, &mut out);
        }
        *self = Self::default();
        out
    }

    fn take(&mut self, c: char, out: &mut String) {
        match std::mem::take(&mut self.state) {
            State::Text => self.text(c, out),
            State::Escape => self.escape(c, out),
            State::Intermediate => match c {
                ' '..='/' => self.state = State::Intermediate,
                '0'..='~' => {}
                _ => self.text(c, out),
            },
            State::Control(count) => match c {
                ' '..='?' if count < PARAMETERS => self.state = State::Control(count + 1),
                '@'..='~' => {}
                _ => self.text(c, out),
            },
            State::String(held) => self.string(held, c, out),
        }
    }

    /// A character of text, or the start of control (ECMA-48, 5.4 and 8.3).
    fn text(&mut self, c: char, out: &mut String) {
        match c {
            '\u{1b}' => self.state = State::Escape,
            '\u{9b}' => self.state = State::Control(0),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => {
                self.state = State::String(Held::default());
            }
            c => self.shown(c, out),
        }
    }

    fn escape(&mut self, c: char, out: &mut String) {
        match c {
            '[' => self.state = State::Control(0),
            ']' | 'P' | 'X' | '^' | '_' => self.state = State::String(Held::default()),
            ' '..='/' => self.state = State::Intermediate,
            '0'..='~' => {}
            c => self.text(c, out),
        }
    }

    /// A string ends with BEL or ST. One that meets a line break, another sequence or its limit
    /// first is shown as text, so that nothing is hidden by an end that never comes.
    fn string(&mut self, mut held: Held, c: char, out: &mut String) {
        let is_end = matches!(c, '\u{7}' | '\u{9c}') || held.escape && c == '\\';
        if is_end {
            return;
        }
        if held.escape {
            self.show(&held.text, out);
            return self.escape(c, out);
        }
        let starts = matches!(c, '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}');
        if starts || c == '\n' || held.characters >= ESCAPE_STRING {
            self.show(&held.text, out);
            return self.text(c, out);
        }
        if c == '\u{1b}' {
            held.escape = true;
        } else {
            held.text.push(c);
            held.characters += 1;
        }
        self.state = State::String(held);
    }

    /// There is no introducer in `text`.
    fn show(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            self.shown(c, out);
        }
    }

    fn shown(&mut self, c: char, out: &mut String) {
        match c {
            '\n' | '\t' => {
                self.marks = 0;
                out.push(c);
            }
            c if c.is_control() => {}
            c => {
                self.marks = if c.width() == Some(0) { self.marks + 1 } else { 0 };
                if is_invisible(c) || self.marks > MARKS {
                    out.push_str(&format!("<U+{:04X}>", u32::from(c)));
                } else {
                    out.push(c);
                }
            }
        }
    }
}

/// Characters that change how others show, or do not show themselves (Unicode 16: the bidirectional
/// controls, default-ignorable code points but for the emoji variation selectors, line and
/// paragraph separators).
pub(crate) const fn is_invisible(c: char) -> bool {
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
        let flood = format!("e{}!", "\u{301}".repeat(10));
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
            ("\u{1b}]0;a\u{1b}[31mb\u{1b}]1;c\u{7}d", "0;abd"),
            (
                flood.as_str(),
                "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}<U+0301><U+0301>!",
            ),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
            let mut cleaner = Cleaner::default();
            let mut cut: String = text.chars().map(|c| cleaner.push(&c.to_string())).collect();
            cut.push_str(&cleaner.finish());
            assert_eq!(cut, expected, "{text:?} in pieces");
        }
    }

    #[test]
    fn what_never_ends_is_shown() {
        let long = "x".repeat(ESCAPE_STRING + 10);
        assert_eq!(printable(&format!("\u{1b}]0;{long}")), format!("0;{long}"));
        let digits = "1".repeat(PARAMETERS + 10);
        assert_eq!(printable(&format!("\u{1b}[{digits}m")), "1111111111m");
    }
}
