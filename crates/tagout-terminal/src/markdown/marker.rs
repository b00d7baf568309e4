//! What a line of Markdown starts with.

/// The sign of a list item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// What is shown for it, with a space after it.
    pub(super) label: String,
    /// The columns from its first to what it introduces.
    pub(super) width: usize,
    /// The item's number, in a list that has numbers.
    pub(super) number: Option<u32>,
    /// Nothing follows.
    pub(super) empty: bool,
}

impl Marker {
    /// The marker that `text`, which starts with none but its spaces, begins with.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (sign, number) = sign(text)?;
        let rest = text.get(sign..)?;
        let spaces = indent(rest);
        let empty = rest.len() == spaces;
        if spaces == 0 && !empty {
            return None;
        }
        let gap = if empty || spaces > 4 { 1 } else { spaces };
        let label = match number {
            Some(_) => format!("{} ", text.get(..sign)?),
            None => "• ".to_owned(),
        };
        Some(Self { label, width: sign + gap, number, empty })
    }
}

/// How many bytes the sign has, and its number.
fn sign(text: &str) -> Option<(usize, Option<u32>)> {
    if text.starts_with(['-', '*', '+']) {
        return Some((1, None));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text.get(..digits)?.parse().ok().filter(|_| digits <= 9)?;
    text.get(digits..)?.starts_with(['.', ')']).then_some((digits + 1, Some(number)))
}

/// The spaces that a text starts with.
pub(super) fn indent(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b' ').count()
}

/// The level of a heading, and its words.
pub(super) fn heading(text: &str) -> Option<(usize, &str)> {
    let level = text.bytes().take_while(|byte| *byte == b'#').count();
    let words = text.get(level..).filter(|_| (1..=6).contains(&level))?;
    if !(words.is_empty() || words.starts_with(' ')) {
        return None;
    }
    let words = words.trim();
    let without = words.trim_end_matches('#');
    let closed = without.is_empty() || without.ends_with(' ');
    Some((level, if closed { without.trim_end() } else { words }))
}

/// The level of the heading that a line makes of the paragraph over it.
pub(super) fn underline(text: &str) -> Option<usize> {
    let text = text.trim_end();
    let all = |sign| !text.is_empty() && text.chars().all(|c| c == sign);
    if all('=') {
        Some(1)
    } else if all('-') {
        Some(2)
    } else {
        None
    }
}

/// Whether the line is a rule.
pub(super) fn is_rule(text: &str) -> bool {
    let mut signs = text.chars().filter(|c| *c != ' ');
    let Some(first @ ('-' | '*' | '_')) = signs.next() else { return false };
    let rest = signs.try_fold(1, |count, c| (c == first).then_some(count + 1));
    rest.is_some_and(|count| count >= 3)
}

/// What opened a block of code, and ends it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    sign: char,
    length: usize,
    indent: usize,
}

impl Fence {
    /// The fence that a line opens, and what it says about the code.
    pub(super) fn of(text: &str, indent: usize) -> Option<(Self, &str)> {
        let sign = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = text.chars().take_while(|c| *c == sign).count();
        let info = text.get(length..)?.trim();
        let opens = length >= 3 && !(sign == '`' && info.contains('`'));
        opens.then_some((Self { sign, length, indent }, info))
    }

    /// Whether the line ends the code.
    pub(super) fn ends(self, line: &str) -> bool {
        let text = line.trim();
        indent(line) <= 3
            && text.chars().all(|c| c == self.sign)
            && text.chars().count() >= self.length
    }

    /// A line of code without the indentation of the fence.
    pub(super) fn inside(self, line: &str) -> &str {
        line.get(indent(line).min(self.indent)..).unwrap_or_default()
    }
}
