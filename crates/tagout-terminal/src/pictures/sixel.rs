//! Sixel: bands of six rows, colour by colour (DEC STD 070).
use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Picture,
    palette::{Indexed, indexed},
};

pub(super) fn encode(picture: &Picture) -> String {
    let Indexed { palette, dots } = indexed(picture);
    let (width, height) = (picture.width, picture.height);
    // Writing to a string does not fail.
    let mut out = format!("\x1bP0;1;0q\"1;1;{width};{height}");
    for (n, colour) in palette.iter().enumerate() {
        let [red, green, blue] = colour.map(|part| (u16::from(part) * 100 + 127) / 255);
        write!(out, "#{n};2;{red};{green};{blue}").ok();
    }
    for (n, band) in dots.chunks(width.max(1) * 6).enumerate() {
        if n > 0 {
            out.push('-');
        }
        for (place, (colour, columns)) in colours(band, width).into_iter().enumerate() {
            if place > 0 {
                out.push('$');
            }
            write!(out, "#{colour}").ok();
            runs(&mut out, &columns);
        }
    }
    out.push_str("\x1b\\");
    out
}

/// For each colour of a band, which of the six dots of each column have it.
fn colours(band: &[u8], width: usize) -> BTreeMap<u8, Vec<u8>> {
    let mut colours: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (y, row) in band.chunks(width.max(1)).enumerate() {
        for (x, colour) in row.iter().enumerate() {
            let columns = colours.entry(*colour).or_insert_with(|| vec![0; width]);
            if let Some(column) = columns.get_mut(x) {
                *column |= 1 << y;
            }
        }
    }
    colours
}

fn runs(out: &mut String, columns: &[u8]) {
    for run in columns.chunk_by(|one, other| one == other) {
        let sign = char::from(63 + run.first().copied().unwrap_or_default());
        if run.len() > 3 {
            write!(out, "!{}{sign}", run.len()).ok();
        } else {
            out.extend(std::iter::repeat_n(sign, run.len()));
        }
    }
}
