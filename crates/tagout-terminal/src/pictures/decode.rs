//! From the bytes of a file to dots.
use std::io::Cursor;

use png::{Decoder, DecodingError, Limits, Transformations};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{MAX_BYTES, MAX_DOTS, Picture, PictureError, WHOLE_DOTS, scale::Scaling};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
/// How often a JPEG may go over its dots.
const SCANS: usize = 64;
/// What the decoder of PNG may take besides the dots: text, profiles.
const ASIDE_BYTES: usize = 64 << 20;

/// Across and down.
type Dots = (usize, usize);

/// The picture in the size that `wanted` makes of its own.
pub(super) fn decode(
    bytes: &[u8],
    media_type: &str,
    wanted: impl FnOnce(Dots) -> Dots,
) -> Result<Picture, PictureError> {
    if bytes.len() > MAX_BYTES {
        return Err(PictureError::TooLarge);
    }
    if bytes.starts_with(PNG) {
        png(bytes, wanted)
    } else if bytes.starts_with(JPEG) {
        jpeg(bytes, wanted)
    } else {
        Err(PictureError::Format { media_type: media_type.to_owned() })
    }
}

fn broken(error: impl std::fmt::Display) -> PictureError {
    PictureError::Broken(crate::printable(&error.to_string()))
}

/// The size, if it has no more dots than that.
fn checked(width: u64, height: u64, most: u64) -> Result<Dots, PictureError> {
    if width.saturating_mul(height) > most {
        return Err(PictureError::TooLarge);
    }
    let size = usize::try_from(width).ok().zip(usize::try_from(height).ok());
    size.filter(|(width, height)| *width > 0 && *height > 0).ok_or_else(|| broken("it has no dots"))
}

fn png(bytes: &[u8], wanted: impl FnOnce(Dots) -> Dots) -> Result<Picture, PictureError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: ASIDE_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let failed = |error| {
        let limit = matches!(error, DecodingError::LimitsExceeded);
        if limit { PictureError::TooLarge } else { broken(error) }
    };
    let mut reader = decoder.read_info().map_err(failed)?;
    let info = reader.info();
    let (width, height) = info.size();
    if info.frame_control.is_some_and(|first| (first.width, first.height) != (width, height)) {
        return Err(broken("its first frame is only a part"));
    }
    let interlaced = info.interlaced;
    let most = if interlaced { WHOLE_DOTS } else { MAX_DOTS };
    let size = checked(width.into(), height.into(), most)?;
    let samples = reader.output_color_type().0.samples();
    let mut scaling = Scaling::new(size, wanted(size));
    if interlaced {
        let bytes = reader.output_buffer_size().ok_or(PictureError::TooLarge)?;
        let mut buffer = vec![0; bytes];
        reader.next_frame(&mut buffer).map_err(failed)?;
        for row in buffer.chunks_exact(size.0 * samples) {
            scaling.row(&dots_of(row, samples));
        }
    } else {
        while let Some(row) = reader.next_row().map_err(failed)? {
            scaling.row(&dots_of(row.data(), samples));
        }
    }
    scaling.picture().ok_or_else(|| broken("dots are missing"))
}

/// Dots of so many samples of a byte each.
fn dots_of(row: &[u8], samples: usize) -> Vec<[u8; 3]> {
    let dots = row.chunks_exact(samples.max(1)).filter_map(|dot| match *dot {
        [grey] => Some([grey; 3]),
        [grey, alpha] => Some(on_white([grey; 3], alpha)),
        [red, green, blue] => Some([red, green, blue]),
        [red, green, blue, alpha] => Some(on_white([red, green, blue], alpha)),
        _ => None,
    });
    dots.collect()
}

fn jpeg(bytes: &[u8], wanted: impl FnOnce(Dots) -> Dots) -> Result<Picture, PictureError> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(1 << 16)
        .set_max_height(1 << 16)
        .jpeg_set_max_scans(SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| broken("it has no size"))?;
    let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let size = checked(wide(width), wide(height), WHOLE_DOTS)?;
    let buffer = decoder.decode().map_err(broken)?;
    let mut scaling = Scaling::new(size, wanted(size));
    let (dots, _) = buffer.as_chunks::<3>();
    for row in dots.chunks_exact(size.0) {
        scaling.row(row);
    }
    scaling.picture().ok_or_else(|| broken("dots are missing"))
}

/// Charts are often drawn on nothing, with dark lines that nobody would see on a dark screen.
fn on_white(dot: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u16::from(alpha);
    dot.map(|part| {
        let mixed = (u16::from(part) * alpha + 255 * (255 - alpha) + 127) / 255;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    })
}
