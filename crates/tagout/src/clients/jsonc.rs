//! JSON with comments and trailing commas: read strictly, changed where it must be and nowhere
//! else.
use std::ops::Range;

use tagout_proto::{Document, Kind, Value, quoted};

use super::{
    layout::Layout,
    tree::{Tree, Unreadable, document},
};

/// A file that was understood.
pub(super) struct Read<'a> {
    text: &'a str,
    /// The text without comments, each of their bytes a space.
    bare: String,
    /// And without trailing commas. All three are equally long.
    strict: Document,
}

impl<'a> Read<'a> {
    /// Nothing if there is nothing but white space and comments.
    pub(super) fn of(text: &'a str) -> Result<Option<Self>, Unreadable> {
        let bare = without_comments(text)?;
        if bare.trim().trim_start_matches('\u{feff}').is_empty() {
            return Ok(None);
        }
        let strict = document(&without_trailing_commas(&bare))?;
        Ok(Some(Self { text, bare, strict }))
    }

    pub(super) fn tree(&self) -> Tree {
        Tree::of_value(self.strict.root())
    }

    /// The text with `value` as the member `name` of the object `section` of the root, in place of
    /// what stood there.
    pub(super) fn with(
        &self,
        section: &str,
        name: &str,
        value: &Tree,
    ) -> Result<String, Unreadable> {
        let root = self.strict.root();
        if root.kind() != Kind::Object {
            return Err(Unreadable("it is no object".to_owned()));
        }
        let Some(inside) = root.get(section) else {
            let value = Tree::Map(vec![(name.to_owned(), value.clone())]);
            return self.added(root, section, &value);
        };
        if inside.kind() != Kind::Object {
            return Err(Unreadable(format!("`{section}` is no object")));
        }
        match inside.get(name) {
            Some(old) => {
                let layout = Layout::of(self.text);
                let at = self.range(old);
                let written = json(value, &layout, &layout.indent_at(self.text, at.start));
                splice(self.text, at, &written)
            }
            None => self.added(inside, name, value),
        }
    }

    /// Adds a member at the end of `object`.
    fn added(&self, object: Value<'_>, key: &str, value: &Tree) -> Result<String, Unreadable> {
        let layout = Layout::of(self.text);
        let whole = self.range(object);
        let close = whole.end - 1;
        let end = layout.line_end;
        let last = object.members().last().map(|(_, last)| self.range(last).end);
        let body = slice(self.text, whole.clone())?;
        let outer = layout.indent_at(self.text, whole.start);
        let inner = self.first_indent(object).unwrap_or_else(|| format!("{outer}{}", layout.unit));
        let Some(last) = last else {
            let member = format!("{}: {}", quoted(key), json(value, &layout, &inner));
            let within = slice(self.text, whole.start + 1..close)?;
            if within.trim().is_empty() {
                return splice(self.text, whole, &format!("{{{end}{inner}{member}{end}{outer}}}"));
            }
            // What stands there is a comment.
            let start = whole.start + 1..whole.start + 1;
            return splice(self.text, start, &format!("{end}{inner}{member}"));
        };
        if !body.contains('\n') {
            let space = if body.contains(": ") || body.contains(", ") { " " } else { "" };
            let member = format!("{}:{space}{}", quoted(key), compact(value, space));
            return splice(self.text, last..last, &format!(",{space}{member}"));
        }
        let rest = slice(self.text, last..close)?;
        let kept = rest.trim_end().len();
        let member = format!("{end}{inner}{}: {}", quoted(key), json(value, &layout, &inner));
        let has_comma = slice(&self.bare, last..close)?.contains(',');
        let (before, after) = if has_comma { ("", ",") } else { (",", "") };
        let (comments, space) = rest.split_at_checked(kept).unwrap_or((rest, ""));
        splice(self.text, last..close, &format!("{before}{comments}{member}{after}{space}"))
    }

    /// The text without the member `name` of `section`.
    pub(super) fn without(&self, section: &str, name: &str) -> Result<String, Unreadable> {
        let gone = || Unreadable(format!("there is no `{name}` in `{section}`"));
        let inside = self.strict.root().get(section).ok_or_else(gone)?;
        let value = self.range(inside.get(name).ok_or_else(gone)?);
        // The key stands right before it, and holds no other quotes than escaped ones.
        let before = slice(&self.bare, 0..value.start)?;
        let key = before.trim_end().trim_end_matches(':').trim_end();
        let start = key_start(key).ok_or_else(gone)?;
        let after = slice(&self.bare, value.end..self.bare.len())?;
        let blanks = after.len() - after.trim_start().len();
        let mut end = value.end;
        let mut cuts: Vec<Range<usize>> = Vec::new();
        if after.trim_start().starts_with(',') {
            end = value.end + blanks + 1;
        } else {
            let before = slice(&self.bare, 0..start)?.trim_end();
            if before.ends_with(',') {
                cuts.push(before.len() - 1..before.len());
            }
        }
        let lead = slice(self.text, 0..start)?;
        let line = lead.trim_end_matches([' ', '\t']);
        let tail = slice(self.text, end..self.text.len())?;
        let ends_line = tail.trim_start_matches([' ', '\t']).starts_with(['\r', '\n']);
        let cut = if line.ends_with('\n') && ends_line {
            line.strip_suffix("\r\n").or(line.strip_suffix('\n')).unwrap_or(line).len()..end
        } else {
            start..end + (tail.len() - tail.trim_start_matches(' ').len()).min(1)
        };
        cuts.push(cut);
        let mut text = self.text.to_owned();
        for cut in cuts.into_iter().rev() {
            text = splice(&text, cut, "")?;
        }
        Ok(text)
    }

    /// The white space before the first member, if that begins its line.
    fn first_indent(&self, object: Value<'_>) -> Option<String> {
        let first = object.members().next().map(|(_, value)| self.range(value))?;
        let before = self.bare.get(..first.start)?.trim_end().trim_end_matches(':').trim_end();
        let line = self.text.get(..key_start(before)?)?;
        let indent = line.rsplit('\n').next()?;
        (line.contains('\n') && indent.trim().is_empty()).then(|| indent.to_owned())
    }

    fn range(&self, value: Value<'_>) -> Range<usize> {
        // Both are slices of one text; the difference of addresses is a length.
        let start = value.raw().as_ptr().addr() - self.strict.text().as_ptr().addr();
        start..start + value.raw().len()
    }
}

/// A new file with `value` as the member `name` of `section`.
pub(super) fn fresh(text: &str, section: &str, name: &str, value: &Tree) -> String {
    let layout = Layout::of(text);
    let value =
        Tree::Map(vec![(section.to_owned(), Tree::Map(vec![(name.to_owned(), value.clone())]))]);
    let before = if text.is_empty() || text.ends_with('\n') { "" } else { layout.line_end };
    format!("{text}{before}{}{}", json(&value, &layout, ""), layout.line_end)
}

/// Where the key starts that `text` ends with.
fn key_start(text: &str) -> Option<usize> {
    let inner = text.strip_suffix('"')?;
    let mut end = inner.len();
    loop {
        let quote = inner.get(..end)?.rfind('"')?;
        let slashes = inner.get(..quote)?.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if slashes % 2 == 0 {
            return Some(quote);
        }
        end = quote;
    }
}

fn slice(text: &str, range: Range<usize>) -> Result<&str, Unreadable> {
    text.get(range).ok_or_else(|| Unreadable("its places do not fit".to_owned()))
}

fn splice(text: &str, range: Range<usize>, with: &str) -> Result<String, Unreadable> {
    let (before, after) = (slice(text, 0..range.start)?, slice(text, range.end..text.len())?);
    Ok(format!("{before}{with}{after}"))
}

/// JSON over several lines, as people write it: short lists of texts on one line.
fn json(value: &Tree, layout: &Layout, indent: &str) -> String {
    let Tree::Map(members) = value else { return compact(value, " ") };
    if members.is_empty() {
        return "{}".to_owned();
    }
    let inner = format!("{indent}{}", layout.unit);
    let members = members.iter().map(|(key, value)| {
        format!("{}{inner}{}: {}", layout.line_end, quoted(key), json(value, layout, &inner))
    });
    format!("{{{}{}{indent}}}", members.collect::<Vec<_>>().join(","), layout.line_end)
}

fn compact(value: &Tree, space: &str) -> String {
    let join = |parts: Vec<String>| parts.join(&format!(",{space}"));
    match value {
        Tree::Null => "null".to_owned(),
        Tree::Bool(truth) => truth.to_string(),
        Tree::Number(number) => number.clone(),
        Tree::Text(text) => quoted(text),
        Tree::List(elements) => {
            format!("[{}]", join(elements.iter().map(|element| compact(element, space)).collect()))
        }
        Tree::Map(members) => {
            let member = |(key, value): &(String, Tree)| {
                format!("{}:{space}{}", quoted(key), compact(value, space))
            };
            format!("{{{}}}", join(members.iter().map(member).collect()))
        }
    }
}

/// Comments as spaces, byte for byte; their line ends stay.
fn without_comments(text: &str) -> Result<String, Unreadable> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let blank = |out: &mut String, c: char| match c {
        '\n' | '\r' => out.push(c),
        _ => out.extend(std::iter::repeat_n(' ', c.len_utf8())),
    };
    if let Some(mark) = rest.next_if_eq(&'\u{feff}') {
        blank(&mut out, mark);
    }
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('"', _) => {
                out.push(c);
                string(&mut rest, &mut out);
            }
            ('/', Some('/')) => {
                out.push(' ');
                while let Some(c) = rest.next_if(|c| !matches!(c, '\n' | '\r')) {
                    blank(&mut out, c);
                }
            }
            ('/', Some('*')) => {
                out.push(' ');
                let mut before = '/';
                // The star that opens it does not close it.
                if let Some(star) = rest.next() {
                    blank(&mut out, star);
                }
                loop {
                    let c = rest.next().ok_or_else(|| {
                        Unreadable("a comment begins and does not end".to_owned())
                    })?;
                    blank(&mut out, c);
                    if before == '*' && c == '/' {
                        break;
                    }
                    before = c;
                }
            }
            _ => out.push(c),
        }
    }
    Ok(out)
}

fn string(rest: &mut impl Iterator<Item = char>, out: &mut String) {
    let mut escaped = false;
    for c in rest {
        out.push(c);
        match c {
            '"' if !escaped => return,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
}

/// A comma with nothing but white space between it and a closing bracket, as a space.
fn without_trailing_commas(bare: &str) -> String {
    let mut out: Vec<char> = Vec::with_capacity(bare.len());
    let mut comma = None;
    let mut rest = bare.chars();
    let mut before = None;
    while let Some(c) = rest.next() {
        match c {
            // One that follows a value; `[,]` and `{,}` are no JSON.
            ',' => {
                comma = before.is_some_and(|b| !matches!(b, '[' | '{' | ',')).then_some(out.len())
            }
            ']' | '}' => {
                if let Some(place) = comma.take().and_then(|at: usize| out.get_mut(at)) {
                    *place = ' ';
                }
            }
            c if c.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        if !c.is_ascii_whitespace() {
            before = Some(c);
        }
        out.push(c);
        if c == '"' {
            let mut inside = String::new();
            string(&mut rest, &mut inside);
            out.extend(inside.chars());
        }
    }
    out.into_iter().collect()
}
