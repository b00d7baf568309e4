//! Text of the program's own: paragraphs and lists, broken between words.
use crate::{
    Screen, Tone, printable,
    style::{Row, Span, Style, painted},
    wrap::{chop, width, without_tabs, wrap},
};

/// How much further in a line goes on than it began.
const HANG: usize = 2;
/// Between a name and what belongs to it.
const BETWEEN: usize = 2;

/// `text` in the tone, as rows of the screen; through [`printable`]. A line that is too long goes on
/// a little further in than it began. Spaces are only taken away where a row ends, and one at most:
/// a line in which more would go is broken wherever a row is full.
#[must_use]
pub fn rows(text: &str, tone: Tone, screen: &Screen) -> Vec<String> {
    let text = without_tabs(&printable(text));
    let rows = text.split('\n').flat_map(|line| broken(line, tone.style(), screen.columns()));
    rows.map(|row| painted(&row, screen)).collect()
}

/// Names, and beside each what belongs to it, as rows of the screen. Where the names leave too
/// little room, what belongs to one stands below it.
#[must_use]
pub fn listing(entries: &[(String, String)], screen: &Screen) -> Vec<String> {
    let columns = screen.columns();
    let widest = entries.iter().map(|(name, _)| width(&printable(name))).max().unwrap_or(0);
    let beside = widest + BETWEEN <= columns / 2;
    let indent = if beside { widest + BETWEEN } else { HANG * 2 };
    let mut out = Vec::new();
    for (name, text) in entries {
        let name = without_tabs(&printable(name));
        let text = [Span::new(without_tabs(&printable(text)), Style::PLAIN)];
        let mut label = vec![Span::new(name.as_str(), Style::BOLD)];
        if !beside {
            out.extend(wrap(&label, columns).iter().map(|row| painted(row, screen)));
            label.clear();
        }
        for row in wrap(&text, columns.saturating_sub(indent)) {
            let taken: usize = label.iter().map(|span| width(&span.text)).sum();
            let space = " ".repeat(indent.saturating_sub(taken));
            let mut whole = std::mem::take(&mut label);
            whole.push(Span::new(space, Style::PLAIN));
            whole.extend(row);
            out.push(painted(&whole, screen).trim_end().to_owned());
        }
    }
    out
}

fn broken(line: &str, style: Style, columns: usize) -> Vec<Row> {
    let line = line.trim_end();
    if width(line) <= columns {
        return vec![vec![Span::new(line, style)]];
    }
    let words = line.trim_start();
    let indent = (line.len() - words.len()).min(columns / 2);
    let room = columns - indent - HANG;
    let wrapped = wrap(&[Span::new(words, style)], room);
    let rows = if loses(words, &wrapped) { chop(words, style, room) } else { wrapped };
    let spaces = |n: usize| " ".repeat(indent + if n == 0 { 0 } else { HANG });
    let indented = rows.into_iter().enumerate().map(|(n, mut row)| {
        row.insert(0, Span::new(spaces(n), style));
        row
    });
    indented.collect()
}

/// Whether more than one space is gone between two of the rows.
fn loses(words: &str, rows: &[Row]) -> bool {
    let mut rest = words;
    for row in rows {
        for span in row {
            let Some(after) = rest.strip_prefix(span.text.as_str()) else { return true };
            rest = after;
        }
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    !rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    fn screen(columns: u16) -> Screen {
        Screen::plain().with_size(Size { columns, ..Size::default() })
    }

    #[test]
    fn lines_go_on_further_in() {
        for (text, expected) in [
            ("short", vec!["short"]),
            ("\n", vec!["", ""]),
            ("a line that is too long for it", vec!["a line that is too", "  long for it"]),
            ("    four before it, and more", vec!["    four before it,", "      and more"]),
            // Nothing of what counts is lost.
            ("an argument with   spaces", vec!["an argument with   ", "  spaces"]),
            ("plain \u{1b}[31mred", vec!["plain red"]),
        ] {
            assert_eq!(rows(text, Tone::Plain, &screen(22)), expected, "{text:?}");
        }
    }

    #[test]
    fn what_belongs_to_names_stands_beside_or_below_them() {
        let entries = [("/a", "does one thing"), ("/long-name", "does another")];
        let entries = entries.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let wide = ["/a          does one thing", "/long-name  does another"];
        assert_eq!(listing(&entries, &screen(40)), wide);
        let narrow = ["/a", "    does one thing", "/long-name", "    does another"];
        assert_eq!(listing(&entries, &screen(20)), narrow);
    }
}
