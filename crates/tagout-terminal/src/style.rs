//! How text looks, and the only escape sequences that it comes with.
use std::fmt::Write as _;

use crate::Screen;

/// What a piece of text is to look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    bits: u8,
    pub(crate) colour: Colour,
}

/// From the terminal's own palette, so that it fits the person's theme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Colour {
    #[default]
    Own,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    pub(crate) const PLAIN: Self = Self { bits: 0, colour: Colour::Own };
    pub(crate) const BOLD: Self = Self { bits: 1, colour: Colour::Own };
    pub(crate) const DIM: Self = Self { bits: 2, colour: Colour::Own };
    pub(crate) const ITALIC: Self = Self { bits: 4, colour: Colour::Own };
    pub(crate) const UNDERLINE: Self = Self { bits: 8, colour: Colour::Own };
    pub(crate) const STRIKE: Self = Self { bits: 16, colour: Colour::Own };
    pub(crate) const CODE: Self = Self { bits: 0, colour: Colour::Cyan };

    pub(crate) const fn coloured(colour: Colour) -> Self {
        Self { bits: 0, colour }
    }

    /// Both.
    pub(crate) const fn and(self, other: Self) -> Self {
        let colour = if matches!(other.colour, Colour::Own) { self.colour } else { other.colour };
        Self { bits: self.bits | other.bits, colour }
    }

    /// The parameters of SGR (ECMA-48, 8.3.117).
    fn parameters(self, colours: bool) -> String {
        let mut codes = String::new();
        for (bit, code) in [(1, "1"), (2, "2"), (4, "3"), (8, "4"), (16, "9")] {
            if self.bits & bit != 0 {
                codes.push_str(code);
                codes.push(';');
            }
        }
        codes.push_str(match self.colour {
            Colour::Own => "",
            _ if !colours => "",
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
        });
        codes.trim_end_matches(';').to_owned()
    }
}

/// Text of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) style: Style,
}

impl Span {
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// What stands on one row of the screen.
pub(crate) type Row = Vec<Span>;

/// The row as it is written. No control character of a text gets through, whatever it went through
/// before.
pub(crate) fn painted(row: &[Span], screen: &Screen) -> String {
    let mut out = String::new();
    for span in row {
        let text = span.text.chars().filter(|c| !c.is_control());
        let codes =
            if screen.styles() { span.style.parameters(screen.colours()) } else { String::new() };
        if codes.is_empty() {
            out.extend(text);
        } else {
            // Writing to a string does not fail.
            write!(out, "\x1b[{codes}m").ok();
            out.extend(text);
            out.push_str("\x1b[0m");
        }
    }
    out
}
