//! YAML as far as configuration files need it: read without aliases and tags, changed by lines.
use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle};
use tagout_proto::quoted;

use super::{
    layout::Layout,
    tree::{DEPTH, Tree, Unreadable},
};

/// What is open while a file is read.
enum Open {
    List(Vec<Tree>),
    Map(Members),
}

/// A map that is read, and the key whose value comes next.
#[derive(Default)]
struct Members {
    all: Vec<(String, Tree)>,
    keys: HashSet<String>,
    next: Option<String>,
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Tree, Unreadable> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unreadable(error.to_string()))?;
        let refused = |what: &str| Err(Unreadable(format!("line {}: {what}", span.start.line())));
        let done = match event {
            Event::Alias(_) => return refused("an alias could be anything; write it out"),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => return refused("tags are not read"),
            Event::DocumentStart(_) if root.is_some() => return refused("a second document"),
            Event::Scalar(text, style, _, None) => scalar(&text, style),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                if open.len() > DEPTH {
                    return refused("it is nested too deep");
                }
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Members::default()));
                if open.len() > DEPTH {
                    return refused("it is nested too deep");
                }
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(elements)) => Tree::List(elements),
                Some(Open::Map(members)) => Tree::Map(members.all),
                None => return refused("something ends that did not begin"),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
        };
        match place(&mut open, done) {
            Ok(None) => {}
            Ok(whole) => root = whole,
            Err(what) => return refused(&what),
        }
    }
    match root {
        None | Some(Tree::Null) => Ok(Tree::empty()),
        Some(root) => Ok(root),
    }
}

/// Puts a value where it belongs; gives it back if that is nowhere.
fn place(open: &mut [Open], value: Tree) -> Result<Option<Tree>, String> {
    match open.last_mut() {
        None => return Ok(Some(value)),
        Some(Open::List(elements)) => elements.push(value),
        Some(Open::Map(members)) if members.next.is_none() => {
            let name = match value {
                Tree::Text(text) | Tree::Number(text) => text,
                Tree::Bool(truth) => truth.to_string(),
                Tree::Null | Tree::List(_) | Tree::Map(_) => {
                    return Err("a key that is no text".to_owned());
                }
            };
            if !members.keys.insert(name.clone()) {
                return Err(format!("the key {} stands twice in one map", quoted(&name)));
            }
            members.next = Some(name);
        }
        Some(Open::Map(members)) => {
            members.all.extend(members.next.take().map(|key| (key, value)));
        }
    }
    Ok(None)
}

fn scalar(text: &str, style: ScalarStyle) -> Tree {
    if style != ScalarStyle::Plain {
        return Tree::from_text(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Tree::Null,
        "true" | "True" | "TRUE" => Tree::Bool(true),
        "false" | "False" | "FALSE" => Tree::Bool(false),
        _ if text.parse::<f64>().is_ok_and(f64::is_finite) => Tree::Number(text.to_owned()),
        _ => Tree::from_text(text),
    }
}

/// The text with `value` as the member `name` of the map `section`, which stands at the left margin.
pub(super) fn with(
    text: &str,
    section: &str,
    name: &str,
    value: &Tree,
) -> Result<String, Unreadable> {
    let layout = Layout::of(text);
    let end = layout.line_end;
    let has_section = read(text)?.get(section).is_some();
    let Some(header) = header(text, section) else {
        if has_section {
            let what = format!("`{section}` is not written over several lines; add it by hand");
            return Err(Unreadable(what));
        }
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { end };
        let block = block(name, value, "  ", end);
        return Ok(format!("{text}{gap}{section}:{end}{block}"));
    };
    let text = match own_lines(text, section, name) {
        Some(_) => without(text, section, name)?,
        None => text.to_owned(),
    };
    let indent = child_indent(&text, section).unwrap_or_else(|| "  ".to_owned());
    let block = block(name, value, &indent, end);
    let mut out = String::new();
    for (n, line) in text.split_inclusive('\n').enumerate() {
        if n != header {
            out.push_str(line);
            continue;
        }
        // `extensions: {}` becomes the header of a block.
        let bare = line.trim_end_matches(['\r', '\n']);
        let kept = bare.split_once("{}").map_or(bare, |(before, _)| before.trim_end());
        out.push_str(&format!("{kept}{end}{block}"));
    }
    Ok(out)
}

/// The text without the lines of the member `name` of `section`.
pub(super) fn without(text: &str, section: &str, name: &str) -> Result<String, Unreadable> {
    let (first, after) = own_lines(text, section, name)
        .ok_or_else(|| Unreadable(format!("`{name}` is not written over several lines")))?;
    let lines = text.split_inclusive('\n').enumerate();
    Ok(lines.filter(|(n, _)| !(first..after).contains(n)).map(|(_, line)| line).collect())
}

/// The number of the line `section:`, with nothing or an empty map behind it.
fn header(text: &str, section: &str) -> Option<usize> {
    text.lines().position(|line| {
        let rest = line.strip_prefix(section).and_then(|rest| rest.strip_prefix(':'));
        let value = rest.map(|rest| rest.split(" #").next().unwrap_or_default().trim());
        value.is_some_and(|value| matches!(value, "" | "{}"))
    })
}

/// How the members of `section` are indented.
fn child_indent(text: &str, section: &str) -> Option<String> {
    let mut lines = text.lines().skip(header(text, section)? + 1);
    let first = lines.find(|line| is_content(line))?;
    Some(indent_of(first).to_owned()).filter(|indent| !indent.is_empty())
}

/// The lines of `name` in `section`: the first, and the one after the last.
fn own_lines(text: &str, section: &str, name: &str) -> Option<(usize, usize)> {
    let header = header(text, section)?;
    let indent = child_indent(text, section)?;
    let mut found: Option<(usize, usize)> = None;
    for (n, line) in text.lines().enumerate().skip(header + 1) {
        if !is_content(line) {
            continue;
        }
        let depth = indent_of(line).len();
        if let Some((first, after)) = &mut found {
            let is_item = depth == indent.len() && line.trim_start().starts_with("- ");
            if depth <= indent.len() && !is_item {
                return Some((*first, *after));
            }
            *after = n + 1;
        } else if depth == 0 {
            return None;
        } else if depth == indent.len() && line.trim() == format!("{name}:") {
            found = Some((n, n + 1));
        }
    }
    found
}

fn is_content(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with('#')
}

fn indent_of(line: &str) -> &str {
    line.split_once(|c| c != ' ').map_or(line, |_| {
        line.get(..line.len() - line.trim_start_matches(' ').len()).unwrap_or_default()
    })
}

/// A member of a map over several lines; texts are quoted, so that none is taken for anything else.
fn block(name: &str, value: &Tree, indent: &str, end: &str) -> String {
    let Tree::Map(members) = value else {
        return format!("{indent}{name}: {}{end}", flow(value));
    };
    let mut out = format!("{indent}{name}:{end}");
    for (key, value) in members {
        out.push_str(&format!("{indent}  {key}: {}{end}", flow(value)));
    }
    out
}

fn flow(value: &Tree) -> String {
    match value {
        Tree::Null => "null".to_owned(),
        Tree::Bool(truth) => truth.to_string(),
        Tree::Number(number) => number.clone(),
        // JSON's strings are YAML's, but for DEL and what breaks lines, which is escaped too.
        Tree::Text(text) => quoted(text).replace('\u{7f}', "\\u007f"),
        Tree::List(elements) => {
            format!("[{}]", elements.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Tree::Map(members) => {
            let member =
                |(key, value): &(String, Tree)| format!("{}: {}", quoted(key), flow(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}
