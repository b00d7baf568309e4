//! Pictures made smaller.
use super::Picture;
use crate::Screen;

/// What a character takes where the terminal does not say: small, so that the picture fits.
const CELL: (usize, usize) = (8, 16);

/// The characters that a picture takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Dots of a character, across and down.
    cell: (usize, usize),
    /// Dots of the picture as it is.
    natural: (usize, usize),
}

impl Fit {
    /// As large as the picture is, or as the screen is with a row for what comes next.
    pub(super) fn of(picture: &Picture, screen: &Screen) -> Self {
        let size = screen.size();
        let part = |dots: u16, of: u16| usize::from(dots) / usize::from(of.max(1));
        let (across, down) = (part(size.width_px, size.columns), part(size.height_px, size.rows));
        let cell = if across > 0 && down > 0 { (across, down) } else { CELL };
        let columns = screen.columns();
        let rows = usize::from(size.rows).saturating_sub(2).max(1);
        let natural = (picture.width, picture.height);
        // Dots that it takes, made smaller in both directions alike.
        let (mut width, mut height) = natural;
        if width > columns * cell.0 {
            (width, height) = (columns * cell.0, (height * columns * cell.0).div_ceil(width));
        }
        if height > rows * cell.1 {
            (width, height) = ((width * rows * cell.1).div_ceil(height), rows * cell.1);
        }
        let columns = width.div_ceil(cell.0).clamp(1, columns);
        let rows = height.div_ceil(cell.1).clamp(1, rows);
        Self { columns, rows, cell, natural }
    }

    /// The dots that it takes, never more than the picture has.
    pub(super) fn dots(self) -> (usize, usize) {
        let (width, height) = self.natural;
        (width.min(self.columns * self.cell.0), height.min(self.rows * self.cell.1))
    }
}

/// The picture in another size; each dot is the mean of those that it stands for.
pub(super) fn scaled(picture: &Picture, width: usize, height: usize) -> Picture {
    if (picture.width, picture.height) == (width, height) {
        return picture.clone();
    }
    let rows: Vec<&[[u8; 3]]> = picture.rows().collect();
    let mut dots = Vec::with_capacity(width * height);
    for y in 0..height {
        let rows = rows.get(span(y, height, picture.height)).unwrap_or_default();
        for x in 0..width {
            dots.push(mean(rows, span(x, width, picture.width)));
        }
    }
    Picture { width, height, dots }
}

/// Which of `from` parts stand for part `at` of `to`.
fn span(at: usize, to: usize, from: usize) -> std::ops::Range<usize> {
    let start = at * from / to;
    let end = ((at + 1) * from).div_ceil(to);
    start..end.max(start + 1).min(from)
}

fn mean(rows: &[&[[u8; 3]]], columns: std::ops::Range<usize>) -> [u8; 3] {
    let (mut sum, mut count) = ([0_u64; 3], 0_u64);
    for row in rows {
        for dot in row.get(columns.clone()).unwrap_or_default() {
            for (sum, part) in sum.iter_mut().zip(dot) {
                *sum += u64::from(*part);
            }
            count += 1;
        }
    }
    sum.map(|sum| u8::try_from((sum + count / 2) / count.max(1)).unwrap_or(u8::MAX))
}
