//! From the bytes of a file to dots.
use std::io::Cursor;

use png::{Decoder, DecodingError, Limits, Transformations};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{MAX_BYTES, MAX_DOTS, Picture, PictureError};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
/// How often a JPEG may go over its dots.
const SCANS: usize = 64;
/// What the decoder of PNG may take besides the dots: text, profiles.
const ASIDE_BYTES: usize = 64 << 20;

pub(super) fn decode(bytes: &[u8], media_type: &str) -> Result<Picture, PictureError> {
    if bytes.len() > MAX_BYTES {
        return Err(PictureError::TooLarge);
    }
    if bytes.starts_with(PNG) {
        png(bytes)
    } else if bytes.starts_with(JPEG) {
        jpeg(bytes)
    } else {
        Err(PictureError::Format { media_type: media_type.to_owned() })
    }
}

fn broken(error: impl std::fmt::Display) -> PictureError {
    PictureError::Broken(crate::printable(&error.to_string()))
}

/// The size, if it is one that is decoded.
fn checked(width: u64, height: u64) -> Result<(usize, usize), PictureError> {
    if width.saturating_mul(height) > MAX_DOTS {
        return Err(PictureError::TooLarge);
    }
    let size = usize::try_from(width).ok().zip(usize::try_from(height).ok());
    size.filter(|(width, height)| *width > 0 && *height > 0).ok_or_else(|| broken("it has no dots"))
}

fn png(bytes: &[u8]) -> Result<Picture, PictureError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: ASIDE_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let failed = |error| {
        let limit = matches!(error, DecodingError::LimitsExceeded);
        if limit { PictureError::TooLarge } else { broken(error) }
    };
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = reader.info().size();
    let (width, height) = checked(width.into(), height.into())?;
    let size = reader.output_buffer_size().ok_or(PictureError::TooLarge)?;
    let mut buffer = vec![0; size];
    let frame = reader.next_frame(&mut buffer).map_err(failed)?;
    if (frame.width, frame.height) != reader.info().size() {
        return Err(broken("its first frame is only a part"));
    }
    let samples = frame.color_type.samples();
    drop(reader);
    let dots = buffer.chunks_exact(samples).filter_map(|dot| match *dot {
        [grey] => Some([grey; 3]),
        [grey, alpha] => Some(on_white([grey; 3], alpha)),
        [red, green, blue] => Some([red, green, blue]),
        [red, green, blue, alpha] => Some(on_white([red, green, blue], alpha)),
        _ => None,
    });
    let mut all = Vec::with_capacity(width.saturating_mul(height));
    all.extend(dots);
    whole(width, height, all)
}

fn jpeg(bytes: &[u8]) -> Result<Picture, PictureError> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(1 << 16)
        .set_max_height(1 << 16)
        .jpeg_set_max_scans(SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| broken("it has no size"))?;
    let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let (width, height) = checked(wide(width), wide(height))?;
    let buffer = decoder.decode().map_err(broken)?;
    let (dots, _) = buffer.as_chunks::<3>();
    whole(width, height, dots.to_vec())
}

/// Charts are often drawn on nothing, with dark lines that nobody would see on a dark screen.
fn on_white(dot: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u16::from(alpha);
    dot.map(|part| {
        let mixed = (u16::from(part) * alpha + 255 * (255 - alpha) + 127) / 255;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    })
}

fn whole(width: usize, height: usize, dots: Vec<[u8; 3]>) -> Result<Picture, PictureError> {
    let complete = width.checked_mul(height) == Some(dots.len());
    complete.then_some(Picture { width, height, dots }).ok_or_else(|| broken("dots are missing"))
}
