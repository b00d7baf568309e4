//! Tables of plain text.
use crate::{
    Screen,
    markdown::Grid,
    printable,
    style::{Row, Span, Style, painted},
};

/// A table with a header, as wide as the screen at most; longer cells are wrapped, none is cut. The
/// text goes through [`printable`].
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>], screen: &Screen) -> String {
    let cell = |text: &str, style| -> Row { vec![Span::new(one_line(text), style)] };
    let header = header.iter().map(|name| cell(name, Style::BOLD)).collect();
    let mut grid = Grid::new(header, Vec::new());
    for row in rows {
        grid.push(row.iter().map(|text| cell(text, Style::PLAIN)).collect());
    }
    let rows = grid.draw(screen.columns());
    rows.iter().map(|row| painted(row, screen) + screen.line_end()).collect()
}

/// Without tabs; line breaks stay, as breaks in the cell.
fn one_line(text: &str) -> String {
    printable(text).trim_end().replace('\t', " ")
}
