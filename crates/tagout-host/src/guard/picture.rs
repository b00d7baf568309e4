//! Pictures that providers take. One that a provider does not take makes it refuse the whole
//! conversation, at this question and at each one after.
use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tagout_llm::{Image, Message, Part};

/// A larger picture is not shown.
const PICTURE_BYTES: usize = 4 << 20;
/// Nor is one that is wider or higher, in pixels.
const EDGE: u32 = 8_000;
/// A request holds so many pictures at most, the newest…
const PICTURES: usize = 8;
/// …and so many bytes of them.
const SUM_BYTES: usize = 12 << 20;

/// Why a picture is not shown to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotShown {
    #[error("its type is none that models take")]
    Type,
    #[error("it has {0} bytes, which is too large")]
    Large(usize),
    #[error("it is not what it is said to be, or broken")]
    Broken,
    #[error("it is {0} by {1} pixels, which is too large")]
    Wide(u32, u32),
    #[error("there are too many newer ones")]
    Old,
}

impl NotShown {
    /// What stands in its place. None of it is the sender's.
    pub(crate) fn line(self) -> Part {
        Part::text(format!("A picture is there and not shown: {self}."))
    }
}

/// Whether a picture by itself is one that providers take.
///
/// # Errors
/// Why not.
pub(crate) fn sound(image: &Image) -> Result<(), NotShown> {
    let kind = image.known_type().ok_or(NotShown::Type)?;
    let size = image.size_bytes();
    if size > PICTURE_BYTES {
        return Err(NotShown::Large(size));
    }
    let bytes = STANDARD.decode(&image.base64).map_err(|_| NotShown::Broken)?;
    let edges = match kind {
        "image/png" => png(&bytes),
        "image/jpeg" => jpeg(&bytes),
        "image/gif" => gif(&bytes),
        _ => webp(&bytes),
    };
    let (width, height) = edges.filter(|(w, h)| *w > 0 && *h > 0).ok_or(NotShown::Broken)?;
    if width > EDGE || height > EDGE {
        return Err(NotShown::Wide(width, height));
    }
    Ok(())
}

/// The pictures of a conversation, and which of them are shown.
pub(crate) struct Pictures(HashMap<*const Image, NotShown>);

impl Pictures {
    /// Looks at all of them, the newest first.
    pub(crate) fn of(messages: &[Message]) -> Self {
        let mut all = Vec::new();
        messages.iter().flat_map(|message| &message.parts).for_each(|part| find(part, &mut all));
        let mut not_shown = HashMap::new();
        let (mut count, mut sum) = (0, 0_usize);
        for image in all.into_iter().rev() {
            let size = image.size_bytes();
            let full = count >= PICTURES || sum.saturating_add(size) > SUM_BYTES;
            let looked_at = if full { Err(NotShown::Old) } else { sound(image) };
            match looked_at {
                Ok(()) => (count, sum) = (count + 1, sum.saturating_add(size)),
                Err(why) => drop(not_shown.insert(std::ptr::from_ref(image), why)),
            }
        }
        Self(not_shown)
    }

    /// A picture of that conversation, or the line in its place.
    pub(crate) fn shown(&self, image: &Image) -> Part {
        let why = self.0.get(&std::ptr::from_ref(image));
        why.map_or_else(|| Part::Image(image.clone()), |why| why.line())
    }
}

fn find<'a>(part: &'a Part, all: &mut Vec<&'a Image>) {
    match part {
        Part::Image(image) => all.push(image),
        Part::ToolResult(result) => result.parts.iter().for_each(|part| find(part, all)),
        Part::Attached { parts, .. } => parts.iter().for_each(|part| find(part, all)),
        Part::Text { .. } | Part::ToolCall(_) | Part::Reasoning { .. } | Part::Refusal { .. } => {}
    }
}

/// Width and height. It begins with its signature and the header's chunk.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    Some((number(header, 0, 4, true)?, number(header, 4, 4, true)?))
}

fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    let screen = bytes.strip_prefix(b"GIF87a").or_else(|| bytes.strip_prefix(b"GIF89a"))?;
    Some((number(screen, 0, 2, false)?, number(screen, 2, 2, false)?))
}

/// A container with one of three kinds of stream.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let inside = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WEBP")?;
    let (kind, data) = (inside.get(..4)?, inside.get(8..)?);
    match kind {
        b"VP8X" => Some((number(data, 4, 3, false)? + 1, number(data, 7, 3, false)? + 1)),
        b"VP8L" => {
            let bits = number(data.strip_prefix(b"\x2f")?, 0, 4, false)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => {
            let size = data.get(3..)?.strip_prefix(b"\x9d\x01\x2a")?;
            Some((number(size, 0, 2, false)? & 0x3fff, number(size, 2, 2, false)? & 0x3fff))
        }
        _ => None,
    }
}

/// Segments up to the one that says how large the picture is.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = bytes.strip_prefix(b"\xff\xd8")?;
    loop {
        rest = rest.strip_prefix(b"\xff")?;
        match *rest.first()? {
            // A byte that fills, and markers without a segment.
            0xff => continue,
            0x01 | 0xd0..=0xd8 => {
                rest = rest.get(1..)?;
                continue;
            }
            // Frames of all kinds; the four left out are tables.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((number(rest, 6, 2, true)?, number(rest, 4, 2, true)?));
            }
            // The data, or the end, and nobody said how large it is.
            0xd9 | 0xda => return None,
            _ => {}
        }
        let length = usize::try_from(number(rest, 1, 2, true)?).ok()?;
        rest = rest.get(1 + length.max(2)..)?;
    }
}

/// A number of so many bytes, the greatest first or last.
fn number(bytes: &[u8], at: usize, size: usize, greatest_first: bool) -> Option<u32> {
    let add = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
    let bytes = bytes.get(at..at + size)?;
    Some(if greatest_first { bytes.iter().fold(0, add) } else { bytes.iter().rfold(0, add) })
}

#[cfg(test)]
mod tests {
    use tagout_llm::Role;

    use super::*;

    fn image(media_type: &str, bytes: &[u8]) -> Image {
        Image { media_type: media_type.into(), base64: STANDARD.encode(bytes) }
    }

    fn png_of(width: u32, height: u32, size: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.resize(size.max(bytes.len()), 0);
        bytes
    }

    #[test]
    fn pictures_of_all_kinds_are_known_by_how_they_begin() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\0\x10\0\x20\x03";
        let lossless = b"RIFF....WEBPVP8L\x05\0\0\0\x2f\x1f\xc0\x03\0";
        let lossy = b"RIFF....WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x20\0\x10\0";
        let extended = b"RIFF....WEBPVP8X\x0a\0\0\0\0\0\0\0\x1f\0\0\x0f\0\0";
        let png = png_of(32, 16, 0);
        for (kind, bytes) in [
            ("image/png", png.as_slice()),
            ("image/jpeg", jpeg),
            ("image/gif", b"GIF89a\x20\0\x10\0"),
            ("image/webp", lossless),
            ("image/webp", lossy),
            ("image/webp", extended),
        ] {
            assert_eq!(sound(&image(kind, bytes)), Ok(()), "{kind}");
            for other in Image::TYPES.into_iter().filter(|other| *other != kind) {
                assert_eq!(sound(&image(other, bytes)), Err(NotShown::Broken), "{kind} {other}");
            }
            for cut in 0..bytes.len().min(18) {
                let cut = bytes.get(..cut).unwrap();
                assert_eq!(sound(&image(kind, cut)), Err(NotShown::Broken), "{kind}");
            }
        }
        for edges in [super::jpeg(jpeg), webp(lossless), webp(lossy), webp(extended)] {
            assert_eq!(edges, Some((32, 16)));
        }
    }

    #[test]
    fn what_a_provider_would_refuse_is_not_shown() {
        let large = PICTURE_BYTES + 1;
        let text = |base64: &str| Image { media_type: "image/png".into(), base64: base64.into() };
        for (image, why) in [
            (image("image/svg+xml", b"<svg/>"), NotShown::Type),
            (image("image/PNG", &png_of(1, 1, 0)), NotShown::Type),
            (image("image/png, and do it", &png_of(1, 1, 0)), NotShown::Type),
            (image("image/png", &png_of(1, 1, large)), NotShown::Large(large)),
            (image("image/png", &png_of(0, 1, 0)), NotShown::Broken),
            (image("image/png", &png_of(9, 8_001, 0)), NotShown::Wide(9, 8_001)),
            (text("not base64!"), NotShown::Broken),
            (text("iVBORw0KGgo"), NotShown::Broken),
            (text(""), NotShown::Broken),
        ] {
            assert_eq!(sound(&image), Err(why), "{}", image.media_type);
        }
    }

    #[test]
    fn the_newest_are_shown() {
        let shown = |pictures: Vec<Image>| -> Vec<bool> {
            let parts = pictures.into_iter().map(Part::Image).collect();
            let messages = [Message { role: Role::User, parts }];
            let pictures = Pictures::of(&messages);
            let is_shown = |part: &Part| {
                let Part::Image(image) = part else { panic!("{part:?}") };
                matches!(pictures.shown(image), Part::Image(_))
            };
            messages[0].parts.iter().map(is_shown).collect()
        };
        let small = || image("image/png", &png_of(1, 1, 0));
        let broken = || image("image/gif", b"no");
        let many = (0..12).map(|at| if at == 11 { broken() } else { small() }).collect();
        let expected: Vec<_> = (0..12).map(|at| (3..11).contains(&at)).collect();
        assert_eq!(shown(many), expected);
        let large = (0..5).map(|_| image("image/png", &png_of(1, 1, PICTURE_BYTES))).collect();
        assert_eq!(shown(large), [false, false, true, true, true]);
    }
}
