//! TOML, changed by lines: a table of one's own at the end, and away with it.
use tagout_proto::quoted;

use super::{
    layout::Layout,
    tree::{Tree, Unreadable},
};

/// The text with the table `[section.name]` at its end, in place of one that stood there.
pub(super) fn with(
    text: &str,
    section: &str,
    name: &str,
    value: &Tree,
) -> Result<String, Unreadable> {
    let end = Layout::of(text).line_end;
    let base = match own_lines(text, section, name) {
        Some(_) => without(text, section, name)?,
        None => text.to_owned(),
    };
    let gap = match base.as_str() {
        "" => String::new(),
        base if base.ends_with('\n') => end.to_owned(),
        _ => format!("{end}{end}"),
    };
    let mut out = format!("{base}{gap}[{section}.{name}]{end}");
    for (key, value) in value.members() {
        out.push_str(&format!("{key} = {}{end}", flow(value)));
    }
    Ok(out)
}

/// The text without the lines of `[section.name]` and of the tables in it.
pub(super) fn without(text: &str, section: &str, name: &str) -> Result<String, Unreadable> {
    let (first, after) = own_lines(text, section, name)
        .ok_or_else(|| Unreadable(format!("there is no line `[{section}.{name}]`")))?;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    // The line that set it off from what stood before it.
    let blank = first.checked_sub(1).filter(|n| lines.get(*n).is_some_and(|l| l.trim().is_empty()));
    let last = lines.iter().skip(after).all(|line| line.trim().is_empty());
    let first = blank.filter(|_| last).unwrap_or(first);
    let kept = lines.iter().enumerate().filter(|(n, _)| !(first..after).contains(n));
    Ok(kept.map(|(_, line)| *line).collect())
}

/// The lines of the table: its header, and the one after its last key.
fn own_lines(text: &str, section: &str, name: &str) -> Option<(usize, usize)> {
    let mut found: Option<(usize, usize)> = None;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        let own = line == format!("[{section}.{name}]")
            || line.starts_with(&format!("[{section}.{name}."));
        match &mut found {
            None if own => found = Some((n, n + 1)),
            None => {}
            Some((first, after)) if line.starts_with('[') && !own => return Some((*first, *after)),
            Some((_, after)) if !line.is_empty() && !line.starts_with('#') => *after = n + 1,
            Some(_) => {}
        }
    }
    found
}

fn flow(value: &Tree) -> String {
    match value {
        Tree::Null => "\"\"".to_owned(),
        Tree::Bool(truth) => truth.to_string(),
        Tree::Number(number) => number.clone(),
        Tree::Text(text) => quoted(text).replace('\u{7f}', "\\u007f"),
        Tree::List(elements) => {
            format!("[{}]", elements.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Tree::Map(members) => {
            let member =
                |(key, value): &(String, Tree)| format!("{} = {}", quoted(key), flow(value));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}
