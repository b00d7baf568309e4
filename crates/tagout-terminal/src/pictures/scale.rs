//! Pictures made smaller.
use std::{collections::VecDeque, ops::Range};

use super::{Picture, SHOWN_DOTS};
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
    /// As large as the picture is, which has dots, or as the screen is with a row for what comes next.
    pub(super) fn of(natural: (usize, usize), screen: &Screen) -> Self {
        let size = screen.size();
        let part = |dots: u16, of: u16| usize::from(dots) / usize::from(of.max(1));
        let (across, down) = (part(size.width_px, size.columns), part(size.height_px, size.rows));
        let cell = if across > 0 && down > 0 { (across, down) } else { CELL };
        let columns = screen.columns();
        let rows = usize::from(size.rows).saturating_sub(2).max(1);
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
        bounded(width.min(self.columns * self.cell.0), height.min(self.rows * self.cell.1))
    }

    /// The dots that it takes where a character is two of them, one over the other.
    pub(super) fn halves(self) -> (usize, usize) {
        bounded(self.columns, self.rows * 2)
    }
}

/// No more than [`SHOWN_DOTS`], whatever the screen says of its size.
fn bounded(mut width: usize, mut height: usize) -> (usize, usize) {
    while width.saturating_mul(height) > SHOWN_DOTS {
        (width, height) = ((width * 9 / 10).max(1), (height * 9 / 10).max(1));
    }
    (width, height)
}

/// Makes a picture of another size from rows of dots as they come, so that never more of them is
/// kept than one row of it needs. Each dot is the mean of those that it stands for.
#[derive(Debug)]
pub(super) struct Scaling {
    from: (usize, usize),
    to: (usize, usize),
    /// Which row comes next.
    at: usize,
    /// Sums of the rows that are begun, the first of them the one after those in `dots`.
    begun: VecDeque<Vec<[u64; 3]>>,
    dots: Vec<[u8; 3]>,
}

impl Scaling {
    pub(super) fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        let dots = Vec::with_capacity(to.0.saturating_mul(to.1));
        Self { from, to, at: 0, begun: VecDeque::new(), dots }
    }

    /// The next row.
    pub(super) fn row(&mut self, row: &[[u8; 3]]) {
        let sums: Vec<_> =
            (0..self.to.0).map(|x| sum(row, span(x, self.to.0, self.from.0))).collect();
        let mut next = self.done() + self.begun.len();
        while next < self.to.1 && self.rows_of(next).start <= self.at {
            self.begun.push_back(vec![[0; 3]; self.to.0]);
            next += 1;
        }
        for begun in &mut self.begun {
            for (all, more) in begun.iter_mut().flatten().zip(sums.iter().flatten()) {
                *all += more;
            }
        }
        self.at += 1;
        while self.rows_of(self.done()).end <= self.at
            && let Some(whole) = self.begun.pop_front()
        {
            let rows = self.rows_of(self.done()).len();
            let columns = (0..self.to.0).map(|x| span(x, self.to.0, self.from.0).len());
            self.dots.extend(
                whole.iter().zip(columns).map(|(sums, columns)| mean(*sums, rows * columns)),
            );
        }
    }

    /// The picture, if all rows came.
    pub(super) fn picture(self) -> Option<Picture> {
        let (width, height) = self.to;
        let whole = width.checked_mul(height) == Some(self.dots.len());
        whole.then_some(Picture { width, height, dots: self.dots })
    }

    /// Rows that are finished.
    fn done(&self) -> usize {
        self.dots.len() / self.to.0.max(1)
    }

    fn rows_of(&self, y: usize) -> Range<usize> {
        span(y, self.to.1, self.from.1)
    }
}

/// Which of `from` parts stand for part `at` of `to`.
fn span(at: usize, to: usize, from: usize) -> Range<usize> {
    let start = at * from / to;
    let end = ((at + 1) * from).div_ceil(to);
    start..end.max(start + 1).min(from)
}

fn sum(row: &[[u8; 3]], columns: Range<usize>) -> [u64; 3] {
    let mut sum = [0; 3];
    for dot in row.get(columns).unwrap_or_default() {
        for (sum, part) in sum.iter_mut().zip(dot) {
            *sum += u64::from(*part);
        }
    }
    sum
}

fn mean(sum: [u64; 3], count: usize) -> [u8; 3] {
    let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    sum.map(|sum| u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of all dots that one stands for, from the whole picture.
    fn expected(rows: &[Vec<[u8; 3]>], to: (usize, usize)) -> Vec<[u8; 3]> {
        let from = (rows.first().map_or(0, Vec::len), rows.len());
        let each = (0..to.1).flat_map(|y| (0..to.0).map(move |x| (x, y)));
        let mean_at = |(x, y)| {
            let columns = span(x, to.0, from.0);
            let rows = rows.get(span(y, to.1, from.1)).unwrap_or_default();
            let mut all = [0; 3];
            for row in rows {
                for (all, more) in all.iter_mut().zip(sum(row, columns.clone())) {
                    *all += more;
                }
            }
            mean(all, rows.len() * columns.len())
        };
        each.map(mean_at).collect()
    }

    #[test]
    fn rows_are_made_smaller_as_they_come_and_let_go() {
        for (from, to) in [
            ((7, 9), (7, 9)),
            ((90, 70), (31, 20)),
            ((100, 100), (1, 1)),
            ((64, 48), (16, 12)),
            ((3, 2), (5, 7)),
            ((10, 1), (4, 6)),
            ((1, 1), (1, 2)),
        ] {
            let part = |n: usize| u8::try_from(n * 37 % 256).unwrap_or(0);
            let dot = |x: usize, y: usize| [part(x), part(y), part(x * y)];
            let rows: Vec<Vec<_>> =
                (0..from.1).map(|y| (0..from.0).map(|x| dot(x, y)).collect()).collect();
            let mut scaling = Scaling::new(from, to);
            let mut begun = 0;
            for row in &rows {
                scaling.row(row);
                begun = begun.max(scaling.begun.len());
            }
            assert!(begun <= 1, "{begun} rows of {from:?} to {to:?}");
            let picture = scaling.picture();
            assert_eq!(picture.map(|p| p.dots), Some(expected(&rows, to)), "{from:?} to {to:?}");
        }
        let mut short = Scaling::new((2, 2), (2, 2));
        short.row(&[[0; 3]; 2]);
        assert!(short.picture().is_none());
    }
}
