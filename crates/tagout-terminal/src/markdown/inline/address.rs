//! Addresses, and where they end.

/// What a link or picture points at.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: String,
    pub(super) title: Option<String>,
    /// All that it takes, with the closing parenthesis.
    pub(super) bytes: usize,
}

/// What stands after `](`. Nothing of it goes over another `](`, so that a text of nothing but
/// those costs no more than others.
pub(super) fn destination(text: &str) -> Option<Target> {
    let text = text.split("](").next().unwrap_or_default();
    let inner = text.trim_start_matches([' ', '\n']);
    let (address, rest) = match inner.strip_prefix('<') {
        Some(inner) => inner.split_once('>').filter(|(address, _)| !address.contains('\n'))?,
        None => inner.split_at_checked(unquoted(inner))?,
    };
    let after = rest.trim_start_matches([' ', '\n']);
    let (title, after) = if after.len() < rest.len() { title(after) } else { (None, after) };
    let after = after.trim_start_matches([' ', '\n']).strip_prefix(')')?;
    let title = title.map(|title| title.replace('\n', " "));
    Some(Target { address: address.to_owned(), title, bytes: text.len() - after.len() })
}

/// How long an address without angles is: to a space, or a parenthesis that it did not open.
fn unquoted(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            ' ' | '\n' => return at,
            '(' => depth += 1,
            ')' if depth == 0 => return at,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn title(text: &str) -> (Option<&str>, &str) {
    for (open, close) in [('"', '"'), ('\'', '\''), ('(', ')')] {
        if let Some((title, rest)) = text.strip_prefix(open).and_then(|t| t.split_once(close)) {
            return (Some(title), rest);
        }
    }
    (None, text)
}

/// How long `<scheme:…>` is, if the text starts with one.
pub(super) fn autolink(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>'))?;
    let closed = inner.get(end..)?.starts_with('>');
    let (scheme, _) = inner.get(..end)?.split_once(':')?;
    let known = scheme.len() >= 2 && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    (closed && known).then_some(end + 2)
}

/// How long an address is that stands in the text as it is.
pub(super) fn bare(text: &str) -> Option<usize> {
    if !(text.starts_with("https://") || text.starts_with("http://")) {
        return None;
    }
    let stops = |c: char| {
        c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '[' | ']' | '(' | ')' | '*' | '\\')
    };
    let end = text.find(stops).unwrap_or(text.len());
    let link = text.get(..end)?;
    Some(link.trim_end_matches(['_', '~', '.', ',', ';', ':', '!', '?', '\'']).len())
}
