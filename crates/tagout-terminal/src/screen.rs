//! What a terminal can show.
use std::{os::fd::AsFd, str::FromStr};

use rustix::termios::tcgetwinsize;

/// How large a terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Pixels across, 0 if the terminal does not say.
    pub width_px: u16,
    /// Pixels down, 0 if the terminal does not say.
    pub height_px: u16,
}

impl Size {
    /// The size that the terminal behind `device` says it has.
    #[must_use]
    pub fn of(device: impl AsFd) -> Option<Self> {
        let size = tcgetwinsize(device).ok()?;
        let (columns, rows) = (size.ws_col, size.ws_row);
        let known = columns > 0 && rows > 0;
        known.then_some(Self { columns, rows, width_px: size.ws_xpixel, height_px: size.ws_ypixel })
    }
}

impl Default for Size {
    fn default() -> Self {
        Self { columns: 80, rows: 24, width_px: 0, height_px: 0 }
    }
}

/// How a terminal shows pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// The graphics protocol of kitty, which Ghostty speaks too.
    Kitty,
    /// The inline pictures of iTerm2, which WezTerm speaks too.
    Iterm2,
    /// Six rows of dots a character, of DEC's printers and terminals.
    Sixel,
    /// Half a character a dot.
    Blocks,
    /// Not at all: the path of a file is shown.
    Path,
}

/// A word that names no way to show pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pictures are shown by `kitty`, `iterm2`, `sixel`, `blocks` or `path`")]
pub struct UnknownPictures;

impl FromStr for Pictures {
    type Err = UnknownPictures;

    fn from_str(word: &str) -> Result<Self, UnknownPictures> {
        match word {
            "kitty" => Ok(Self::Kitty),
            "iterm2" => Ok(Self::Iterm2),
            "sixel" => Ok(Self::Sixel),
            "blocks" => Ok(Self::Blocks),
            "path" => Ok(Self::Path),
            _ => Err(UnknownPictures),
        }
    }
}

/// How many colours a terminal is taken to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The palette of 256.
    Palette,
    /// Any colour.
    True,
}

/// A terminal, or what stands in its place.
#[derive(Clone, Debug)]
pub struct Screen {
    size: Size,
    terminal: bool,
    colours: bool,
    depth: Depth,
    pictures: Pictures,
}

/// Terminals that show sixel, by the first part of `TERM`.
const SIXEL: [&str; 4] = ["foot", "mlterm", "yaft", "contour"];
/// Programs that understand iTerm2's pictures, by `TERM_PROGRAM`.
const ITERM2: [&str; 4] = ["iTerm.app", "WezTerm", "vscode", "mintty"];
/// The narrowest screen that is written for; a narrower one shows longer rows as it likes.
const NARROWEST: u16 = 20;

impl Screen {
    /// No terminal: text as it is, without styles, and nothing is drawn twice.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            size: Size::default(),
            terminal: false,
            colours: false,
            depth: Depth::Palette,
            pictures: Pictures::Path,
        }
    }

    /// What the environment says about the terminal. `is_terminal` is about where the text goes;
    /// `TERM=dumb` is no terminal either, and `NO_COLOR` takes the colours.
    #[must_use]
    pub fn detect(
        variable: impl Fn(&str) -> Option<String>,
        is_terminal: bool,
        size: Option<Size>,
    ) -> Self {
        let size = size.unwrap_or_default();
        let said = |name: &str| variable(name).unwrap_or_default();
        let term = said("TERM");
        if !is_terminal || term == "dumb" || term.is_empty() {
            return Self { size, ..Self::plain() };
        }
        let colours = said("NO_COLOR").is_empty();
        let true_colour = matches!(said("COLORTERM").as_str(), "truecolor" | "24bit");
        let depth = if true_colour { Depth::True } else { Depth::Palette };
        let enough = true_colour || term.contains("256color") || term.contains("direct");
        let pictures = if said("TMUX").is_empty() && !term.starts_with("screen") {
            pictures_of(&term, said)
        } else {
            // What multiplexes terminals does not pass pictures on.
            None
        };
        let blocks = if enough && colours { Pictures::Blocks } else { Pictures::Path };
        Self { size, terminal: true, colours, depth, pictures: pictures.unwrap_or(blocks) }
    }

    /// The same with pictures shown in the way that the person says, if this is a terminal.
    #[must_use]
    pub fn with_pictures(mut self, pictures: Pictures) -> Self {
        if self.terminal {
            self.pictures = pictures;
        }
        self
    }

    /// The same, of another size.
    #[must_use]
    pub fn with_size(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// Whether there is a terminal that can draw over what it shows.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether there are colours.
    #[must_use]
    pub fn colours(&self) -> bool {
        self.colours
    }

    /// How pictures are shown.
    #[must_use]
    pub fn pictures(&self) -> Pictures {
        self.pictures
    }

    /// Its size; where nothing is known, 80 by 24.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Whether text may be bold, dim, underlined.
    pub(crate) fn styles(&self) -> bool {
        self.terminal
    }

    pub(crate) fn depth(&self) -> Depth {
        self.depth
    }

    /// The columns that are written on. The last one stays empty: terminals differ about where the
    /// cursor is after it.
    pub(crate) fn columns(&self) -> usize {
        usize::from(self.size.columns.max(NARROWEST)) - 1
    }

    /// The end of a row. A terminal that somebody put into raw mode needs both.
    pub(crate) fn line_end(&self) -> &'static str {
        if self.terminal { "\r\n" } else { "\n" }
    }
}

fn pictures_of(term: &str, said: impl Fn(&str) -> String) -> Option<Pictures> {
    let program = said("TERM_PROGRAM");
    if term == "xterm-kitty"
        || term == "xterm-ghostty"
        || program == "ghostty"
        || !said("KITTY_WINDOW_ID").is_empty()
    {
        return Some(Pictures::Kitty);
    }
    if ITERM2.contains(&program.as_str()) || said("LC_TERMINAL") == "iTerm2" {
        return Some(Pictures::Iterm2);
    }
    let first = term.split('-').next().unwrap_or_default();
    let sixel = SIXEL.contains(&first) || term.contains("sixel");
    sixel.then_some(Pictures::Sixel)
}
