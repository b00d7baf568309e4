//! Half a character a dot: the upper half in the colour of the text, the lower in that behind it.
use std::fmt::Write as _;

use super::Picture;
use crate::screen::Depth;

pub(super) fn draw(picture: &Picture, depth: Depth) -> String {
    let rows: Vec<_> = picture.rows().collect();
    let mut out = String::new();
    for (n, pair) in rows.chunks(2).enumerate() {
        if n > 0 {
            out.push_str("\r\n");
        }
        let lower = pair.get(1).copied().unwrap_or_default();
        let mut before = None;
        for (x, upper) in pair.first().copied().unwrap_or_default().iter().enumerate() {
            let dots = (*upper, lower.get(x).copied());
            if before != Some(dots) {
                colours(&mut out, dots.0, dots.1, depth);
                before = Some(dots);
            }
            out.push('▀');
        }
        out.push_str("\x1b[0m");
    }
    out
}

fn colours(out: &mut String, upper: [u8; 3], lower: Option<[u8; 3]>, depth: Depth) {
    let colour = |[red, green, blue]: [u8; 3]| match depth {
        Depth::True => format!("2;{red};{green};{blue}"),
        Depth::Palette => format!("5;{}", nearest([red, green, blue])),
    };
    let lower = lower.map_or_else(|| "49".to_owned(), |dot| format!("48;{}", colour(dot)));
    // Writing to a string does not fail.
    write!(out, "\x1b[38;{};{lower}m", colour(upper)).ok();
}

/// The steps of the cube in the palette of 256 colours.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest colour of the cube or of the greys.
fn nearest(dot: [u8; 3]) -> u8 {
    let step = |part: u8| {
        let distance = |n: &usize| STEPS.get(*n).map_or(u8::MAX, |step| step.abs_diff(part));
        (0..STEPS.len()).min_by_key(distance).unwrap_or(0)
    };
    let [red, green, blue] = dot.map(step);
    let cube = [red, green, blue].map(|n| STEPS.get(n).copied().unwrap_or_default());
    let sum: u16 = dot.iter().map(|part| u16::from(*part)).sum();
    // Greys go from 8 to 238 in steps of 10.
    let grey = u8::try_from((sum / 3).saturating_sub(3) / 10).unwrap_or(0).min(23);
    if distance([8 + 10 * grey; 3], dot) < distance(cube, dot) {
        return 232 + grey;
    }
    u8::try_from(16 + 36 * red + 6 * green + blue).unwrap_or(0)
}

fn distance(one: [u8; 3], other: [u8; 3]) -> u32 {
    let parts = one.iter().zip(other);
    parts.map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
}
