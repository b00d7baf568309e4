//! The lines of a table.
use super::spans;
use crate::{
    markdown::Alignment,
    style::{Row, Style},
};

/// The columns that the line under a table's header makes.
pub(super) fn columns(line: &str) -> Option<Vec<Alignment>> {
    if !line.contains('|') {
        return None;
    }
    parts(line, usize::MAX).iter().map(|part| alignment(part.trim())).collect()
}

fn alignment(part: &str) -> Option<Alignment> {
    let (left, rest) = part.strip_prefix(':').map_or((false, part), |rest| (true, rest));
    let (right, rest) = rest.strip_suffix(':').map_or((false, rest), |rest| (true, rest));
    let dashes = !rest.is_empty() && rest.bytes().all(|byte| byte == b'-');
    dashes.then_some(match (left, right) {
        (true, true) => Alignment::Centre,
        (false, true) => Alignment::Right,
        (true | false, false) => Alignment::Left,
    })
}

/// The cells of a line; what is too much for `most` cells is in the last one.
pub(super) fn cells(line: &str, most: usize, style: Style) -> Vec<Row> {
    let of = |part: &String| {
        let lines = ["<br>", "<br/>", "<br />"];
        let text = lines.iter().fold(part.trim().to_owned(), |text, sign| {
            // Two spaces before the end of a line keep it.
            text.replace(sign, "  \n")
        });
        spans(&text, style)
    };
    parts(line, most).iter().map(of).collect()
}

fn parts(line: &str, most: usize) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '|' if escaped => {
                part.pop();
                part.push('|');
            }
            '|' if parts.len() + 1 < most => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    // The bar at the end closes the last cell, and opens none.
    let last = if parts.len() + 1 >= most {
        part.trim_end().strip_suffix('|').unwrap_or(&part).to_owned()
    } else {
        part
    };
    if !last.trim().is_empty() || parts.is_empty() {
        parts.push(last);
    }
    parts
}
