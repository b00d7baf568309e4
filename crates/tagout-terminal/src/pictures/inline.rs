//! Terminals that take a file.
use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Picture, PictureError, scale::Fit};

/// The most characters of one command of kitty's protocol.
const CHUNK: usize = 4_096;

/// The graphics protocol of kitty: PNG, in chunks, placed on so many characters; the terminal is not
/// to answer, since its answer would be taken for typing.
pub(super) fn kitty(picture: &Picture, fit: Fit) -> Result<String, PictureError> {
    let data = STANDARD.encode(png(picture)?);
    let chunks: Vec<_> = data.as_bytes().chunks(CHUNK).collect();
    let mut out = String::with_capacity(data.len() + 64 * chunks.len());
    for (n, chunk) in chunks.iter().enumerate() {
        let more = u8::from(n + 1 < chunks.len());
        let chunk = String::from_utf8_lossy(chunk);
        let (columns, rows) = (fit.columns, fit.rows);
        // Writing to a string does not fail.
        if n == 0 {
            write!(out, "\x1b_Ga=T,f=100,q=2,c={columns},r={rows},m={more};{chunk}\x1b\\").ok();
        } else {
            write!(out, "\x1b_Gq=2,m={more};{chunk}\x1b\\").ok();
        }
    }
    Ok(out)
}

/// The inline pictures of iTerm2.
pub(super) fn iterm2(picture: &Picture, fit: Fit) -> Result<String, PictureError> {
    let file = png(picture)?;
    let (size, columns, rows) = (file.len(), fit.columns, fit.rows);
    let data = STANDARD.encode(file);
    let how = "inline=1;preserveAspectRatio=1";
    Ok(format!("\x1b]1337;File={how};size={size};width={columns};height={rows}:{data}\x07"))
}

fn png(picture: &Picture) -> Result<Vec<u8>, PictureError> {
    let broken = |error: png::EncodingError| PictureError::Broken(error.to_string());
    let size = |size: usize| u32::try_from(size).map_err(|_| PictureError::TooLarge);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size(picture.width)?, size(picture.height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(broken)?;
    writer.write_image_data(picture.dots.as_flattened()).map_err(broken)?;
    writer.finish().map_err(broken)?;
    Ok(file)
}
