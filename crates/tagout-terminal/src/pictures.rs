//! Pictures on terminals that can show them.
//!
//! A picture comes from a tool, so its bytes are nothing that a terminal should see: they are decoded
//! here, within limits, and what is sent is made anew from the dots.
mod blocks;
mod decode;
mod inline;
mod palette;
mod scale;
mod sixel;

use crate::{Pictures, Screen};
use decode::decode;
use scale::Fit;

/// The largest file that is looked at.
pub const MAX_BYTES: usize = 32 << 20;
/// The most dots that a picture may have.
pub const MAX_DOTS: u64 = 40_000_000;
/// The most dots that one may have which cannot be made smaller row by row: JPEG, interlaced PNG.
pub const WHOLE_DOTS: u64 = 16_000_000;
/// The most dots that a terminal is sent, whatever it says of its size. It makes them larger itself.
pub(crate) const SHOWN_DOTS: usize = 2_000_000;

/// Why a picture is not shown.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// More bytes than [`MAX_BYTES`], or more dots than [`MAX_DOTS`] or [`WHOLE_DOTS`].
    #[error(
        "the picture is larger than 32 MB, or has more than 40 million dots (16 as JPEG or interlaced)"
    )]
    TooLarge,
    /// It begins neither as PNG nor as JPEG, whatever it was said to be.
    #[error("what was sent as `{media_type}` is neither PNG nor JPEG")]
    Format {
        /// What it was said to be.
        media_type: String,
    },
    /// It begins as a picture, and goes on as none.
    #[error("the picture is broken: {0}")]
    Broken(String),
}

impl PictureError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "picture-too-large",
            Self::Format { .. } => "picture-format",
            Self::Broken(_) => "picture-broken",
        }
    }
}

/// Dots of red, green and blue, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    width: usize,
    height: usize,
    dots: Vec<[u8; 3]>,
}

impl Picture {
    /// The rows of dots. There is at least one dot.
    fn rows(&self) -> impl Iterator<Item = &[[u8; 3]]> {
        self.dots.chunks(self.width.max(1))
    }
}

/// What to write to show the picture, no larger than the screen and no larger than it is; nothing
/// where the screen cannot show pictures. The cursor is at the start of a row before and after.
///
/// What it is, its first bytes say; `media_type` is for the error.
///
/// It blocks its thread, so it has no place among asynchronous tasks: see [`show_owned`]. It costs
/// what the file has dots: PNG is made smaller as it is read, and takes memory for two million dots
/// at most; of JPEG and interlaced PNG all dots are there at once, some ten bytes each.
///
/// # Errors
/// [`PictureError`]: it is too large, of another format, or broken.
pub fn show(
    bytes: &[u8],
    media_type: &str,
    screen: &Screen,
) -> Result<Option<String>, PictureError> {
    let pictures = screen.pictures();
    if !screen.is_terminal() || pictures == Pictures::Path {
        return Ok(None);
    }
    let mut fit = None;
    let picture = decode(bytes, media_type, |natural| {
        let fitted = *fit.insert(Fit::of(natural, screen));
        if pictures == Pictures::Blocks { fitted.halves() } else { fitted.dots() }
    })?;
    let Some(fit) = fit else { return Ok(None) };
    let mut out = match pictures {
        Pictures::Kitty => inline::kitty(&picture, fit)?,
        Pictures::Iterm2 => inline::iterm2(&picture, fit)?,
        Pictures::Sixel => sixel::encode(&picture),
        Pictures::Blocks => blocks::draw(&picture, screen.depth()),
        Pictures::Path => return Ok(None),
    };
    out.push_str(screen.line_end());
    Ok(Some(out))
}

/// [`show`] for a thread of its own: it takes all that it needs with it, and what comes of it can
/// be sent back. Whoever writes that draws nothing else in between.
///
/// # Errors
/// As [`show`].
pub fn show_owned(
    bytes: Vec<u8>,
    media_type: String,
    screen: Screen,
) -> Result<Option<String>, PictureError> {
    show(&bytes, &media_type, &screen)
}
