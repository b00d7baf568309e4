//! What an error may show of the file: values that may be secrets are asterisks.
//!
//! A file that is wrong is read here with care rather than by the grammar: what might belong to a
//! table of secrets does, and only what plainly ends it ends it.

/// Tables whose values may be secrets.
const SECRETIVE: &[&str] = &["env", "headers", "secret_files"];
/// Tables whose keys should be references, but may be the secrets themselves before that is refused.
const KEEPERS: &[&str] = &["provider", "vault", "aws", "secrets"];
/// The table that may hold the key of sessions, in place of where it is.
const SESSIONS: &str = "sessions";
/// A number so long is no key.
const DIGITS: usize = 10;

/// `text` with the values of environment variables, of headers and of keys as asterisks, byte for
/// byte as long: an error shows lines of the file, and the values may be secrets.
pub(super) fn without_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_table, mut in_value) = (false, false);
    let mut sessions = Sessions::default();
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        if start.starts_with('[') {
            let name = start.trim_start_matches('[').split(']').next().unwrap_or_default();
            let path = path(name);
            let enters = path.first().is_some_and(|first| first == SESSIONS);
            if enters || !(in_value || sessions.goes_on()) {
                // A provider's key should be a reference, but may be the key itself before it is
                // refused.
                in_table = path.len() > 1 && ends_secretive(&path)
                    || path.first().is_some_and(|first| KEEPERS.contains(&first.as_str()));
                sessions = Sessions { table: enters, ..Sessions::default() };
                out.push_str(line);
                continue;
            }
        }
        let key = path(start.split('=').next().unwrap_or_default());
        in_value |= ends_secretive(&key);
        // A URL should hold no password, but may before it is refused.
        let last = key.last().map_or("", String::as_str);
        let in_url = last == "url" && line.contains('@') || last == "secret";
        if let Some(shown) = sessions.hides(line, &key) {
            hide(&mut out, line, shown);
        } else if in_table || in_value || in_url {
            hide(&mut out, line, line.find('=').map_or(0, |at| at + 1));
        } else {
            out.push_str(line);
        }
        in_value &= !line.contains('}');
    }
    out
}

fn hide(out: &mut String, line: &str, shown: usize) {
    let (before, value) = line.split_at_checked(shown).unwrap_or(("", line));
    out.push_str(before);
    out.extend(value.chars().map(masked));
}

/// Asterisks in place of a character, as many as it has bytes; white space stays.
fn masked(c: char) -> &'static str {
    match (c, c.len_utf8()) {
        ('\n', _) => "\n",
        (' ', _) => " ",
        (_, 1) => "*",
        (_, 2) => "**",
        (_, 3) => "***",
        _ => "****",
    }
}

/// The parts of a key as the grammar reads them, whatever quotes, spaces and escapes it is written
/// with. One that cannot be read and has escapes might be anything, and so the worst.
fn path(written: &str) -> Vec<String> {
    let parsed = toml::from_str::<toml::Table>(&format!("{} = 0", written.trim()));
    let Ok(table) = parsed else {
        if written.contains('\\') {
            return vec![SESSIONS.to_owned()];
        }
        let plain = |part: &str| part.replace(['"', '\'', ' ', '\t'], "");
        return written.trim().split('.').map(plain).collect();
    };
    let mut path = Vec::new();
    let mut next = table.into_iter().next();
    while let Some((part, value)) = next {
        path.push(part);
        next = if let toml::Value::Table(inner) = value { inner.into_iter().next() } else { None };
    }
    path
}

fn ends_secretive(path: &[String]) -> bool {
    path.last().is_some_and(|last| SECRETIVE.contains(&last.as_str()))
}

/// Where a line stands with regard to the table of sessions.
#[derive(Default)]
struct Sessions {
    /// In the table, or one below it.
    table: bool,
    /// In a value of it, which has so many open brackets.
    depth: usize,
    /// In a text of several lines of it.
    text: bool,
}

impl Sessions {
    const fn goes_on(&self) -> bool {
        self.text || self.depth > 0
    }

    /// How much of the line may be shown, in bytes; nothing if it is none of theirs.
    fn hides(&mut self, line: &str, key: &[String]) -> Option<usize> {
        let goes_on = self.goes_on();
        let begins = key.first().is_some_and(|first| first == SESSIONS);
        if !(self.table || goes_on || begins) {
            return None;
        }
        let at = line.find('=').map_or(0, |at| at + 1);
        let (before, value) = line.split_at_checked(at).unwrap_or(("", line));
        let number = value.trim();
        let plain =
            number.len() <= DIGITS && number.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let counts = match key.last() {
            Some(last) if self.table || begins => last == "keep_days" || last == SESSIONS,
            Some(_) | None => false,
        };
        let blank = line.trim().is_empty() || line.trim_start().starts_with('#') && !goes_on;
        if !goes_on && (blank || at > 0 && plain && counts) {
            return None;
        }
        self.goes_over(value);
        // A key that somebody wrote without its name is not shown for one.
        Some(if goes_on || !named(before) { 0 } else { at })
    }

    /// Notes what the value leaves open.
    fn goes_over(&mut self, value: &str) {
        let quotes = value.matches("\"\"\"").count() + value.matches("'''").count();
        self.text ^= quotes % 2 == 1;
        let mut quoted = None;
        for c in value.chars() {
            match (quoted, c) {
                (Some(open), _) if open == c => quoted = None,
                (None, '"' | '\'') => quoted = Some(c),
                (None, '[' | '{') => self.depth += 1,
                (None, ']' | '}') => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

/// Whether this is a key and an equals sign, as one would write them.
fn named(before: &str) -> bool {
    const LONGEST: usize = 32;
    let known = |c: char| c.is_ascii_alphanumeric() || "_-\"'".contains(c);
    before.strip_suffix('=').is_some_and(|key| {
        let mut parts = key.split('.').map(str::trim);
        key.trim().len() <= LONGEST && parts.all(|part| !part.is_empty() && part.chars().all(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_the_grammar_reads_them() {
        for (written, expected) in [
            ("sessions", &["sessions"][..]),
            (" \"sess\\u0069ons\" . key ", &["sessions", "key"]),
            ("'sessions'.\"key\"", &["sessions", "key"]),
            ("server.x.env", &["server", "x", "env"]),
            ("\"a.b\"", &["a.b"]),
            // What is wrong.
            ("sessions. key x", &["sessions", "keyx"]),
            ("\"sess\\u0069ons", &["sessions"]),
        ] {
            assert_eq!(path(written), expected, "{written}");
        }
    }

    #[test]
    fn no_line_becomes_shorter_and_nothing_else_is_hidden() {
        let text = "profile = \"strict\"\n[http]\nsessions = 256\n[sessions]\n# how long\n\
                    keep_days = 30\n\nkey = \"env://ÄÖ\" # x\n[server.files]\ncommand = [\"x\"]\n\
                    [server.files.env]\nTOKEN = \"hunter2\"\n[limits]\nin_flight = 4\n";
        let shown = without_values(text);
        assert_eq!(shown.len(), text.len());
        let hidden: Vec<_> = shown.lines().filter(|line| line.contains('*')).collect();
        assert_eq!(hidden, ["key = ************ * *", "TOKEN = *********"]);
    }
}
