//! Characters that a person does not see: they hide text from the one who approves it, or drive
//! the terminal that shows it.
use std::borrow::Cow;

/// Why a character is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// A control character other than tab, line feed and carriage return.
    Control,
    /// A character that turns the direction of text.
    Bidirectional,
    /// A character without width or shape.
    Invisible,
}

impl Hidden {
    /// What it is, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Bidirectional => "bidirectional",
            Self::Invisible => "invisible",
        }
    }
}

/// What `c` is, if a person would not see it.
#[must_use]
pub const fn hidden(c: char) -> Option<Hidden> {
    Some(match c {
        '\t' | '\n' | '\r' => return None,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Hidden::Control,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Hidden::Bidirectional
        }
        // Soft hyphen, grapheme joiner, Hangul fillers, Khmer inherent vowels, Mongolian and
        // other separators, zero-width characters, fillers, interlinear annotation, shorthand
        // and musical controls, tags, variation selectors, and line breaks of their own.
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{2800}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Hidden::Invisible,
        _ => return None,
    })
}

/// Whether a hidden character does the work here that it is made for: it joins emoji or chooses
/// their shape, or joins letters in scripts that need it.
fn at_work(before: Option<char>, c: char, after: Option<char>) -> bool {
    let pictograph = |c: char| {
        matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
            && c != '\u{2800}'
    };
    let keycap = |c: char| c.is_ascii_digit() || matches!(c, '#' | '*');
    let joins_letters = |c: char| matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1800}'..='\u{18af}');
    let picture = |c: Option<char>| c.is_some_and(|c| pictograph(c) || c == '\u{fe0f}');
    let letter = |c: Option<char>| c.is_some_and(joins_letters);
    match c {
        '\u{200d}' => (picture(before) && picture(after)) || (letter(before) && letter(after)),
        '\u{200c}' => letter(before) && letter(after),
        '\u{fe0f}' if before.is_some_and(keycap) => after == Some('\u{20e3}'),
        '\u{fe0e}' | '\u{fe0f}' => before.is_some_and(pictograph),
        _ => false,
    }
}

fn hidden_in(text: &str) -> impl Iterator<Item = (usize, char, Hidden)> {
    let mut before = None;
    let mut characters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, c) = characters.next()?;
            let previous = before.replace(c);
            let Some(kind) = hidden(c) else { continue };
            let next = characters.peek().map(|(_, next)| *next);
            if !at_work(previous, c, next) {
                return Some((at, c, kind));
            }
        }
    })
}

/// The first character of `text` that a person would not see.
#[must_use]
pub fn first_hidden(text: &str) -> Option<(char, Hidden)> {
    if plain(text) {
        return None;
    }
    hidden_in(text).next().map(|(_, c, kind)| (c, kind))
}

/// `text` with every hidden character as `<U+202E>`, and how many there were.
#[must_use]
pub fn made_visible(text: &str) -> (Cow<'_, str>, usize) {
    if plain(text) {
        return (Cow::Borrowed(text), 0);
    }
    let mut out = String::new();
    let (mut copied, mut count) = (0, 0);
    for (at, c, _) in hidden_in(text) {
        out.push_str(text.get(copied..at).unwrap_or_default());
        out.push_str(&format!("<U+{:04X}>", u32::from(c)));
        copied = at + c.len_utf8();
        count += 1;
    }
    if count == 0 {
        return (Cow::Borrowed(text), 0);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    (Cow::Owned(out), count)
}

/// `text` with every hidden character made visible, tabs and line ends too: it cannot pass for
/// more than one line.
#[must_use]
pub fn one_line(text: &str) -> String {
    let (visible, _) = made_visible(text);
    if !visible.contains(['\t', '\n', '\r']) {
        return visible.into_owned();
    }
    visible.replace('\t', "<U+0009>").replace('\n', "<U+000A>").replace('\r', "<U+000D>")
}

/// The common case: ASCII without control characters but tab and line ends.
fn plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t' | b'\n' | b'\r'))
}
