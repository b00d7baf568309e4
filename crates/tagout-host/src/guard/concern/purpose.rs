//! What a text in arguments is for, by its names and descriptions.

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A value.
    Plain,
    /// Prose, or what goes into a file.
    Prose,
    /// Commands or code.
    Commands,
    /// A query of a database.
    Queries,
}

/// Words that speak of commands wherever they stand.
const COMMANDS: &[&str] = &[
    "argv",
    "bash",
    "cli",
    "cmd",
    "command",
    "commandline",
    "commands",
    "eval",
    "exec",
    "expr",
    "expression",
    "formula",
    "glob",
    "javascript",
    "jq",
    "lua",
    "perl",
    "powershell",
    "python",
    "regex",
    "regexp",
    "ruby",
    "script",
    "scripts",
    "sh",
    "shell",
    "snippet",
    "typescript",
];

/// Words that do in the text's own name; elsewhere they are about anything.
const OWN_COMMANDS: &[&str] = &["args", "arguments", "pattern", "patterns", "template"];

/// With one of these, `code` is a program and not a country's, an airport's or an error's.
const WITH_CODE: &[&str] = &["compile", "execute", "function", "program", "run", "source"];

/// Words that speak of queries wherever they stand.
const QUERIES: &[&str] = &[
    "bigquery",
    "cypher",
    "duckdb",
    "graphql",
    "kql",
    "mysql",
    "postgres",
    "postgresql",
    "predicate",
    "promql",
    "snowflake",
    "sparql",
    "sql",
    "sqlite",
];

/// Words that do in the text's own name…
const OWN_QUERIES: &[&str] = &["clause", "statement", "statements", "where"];
/// …and with one of these, `query` does.
const WITH_QUERY: &[&str] = &["database", "db", "table", "tables"];

/// Names of what is written for people, or into files.
const PROSE: &[&str] = &[
    "answer",
    "attachment",
    "body",
    "caption",
    "comment",
    "comments",
    "content",
    "contents",
    "description",
    "diff",
    "document",
    "html",
    "markdown",
    "message",
    "note",
    "notes",
    "patch",
    "prompt",
    "question",
    "readme",
    "reply",
    "subject",
    "summary",
    "text",
    "thought",
    "title",
];

impl Purpose {
    /// What a text called `name` is for, where `words` are all names and descriptions from the tool
    /// down to it.
    pub(super) fn of(name: &str, words: &str) -> Self {
        let (name, words) = (split(name), split(words));
        let named = |list: &[&str]| name.iter().any(|word| list.contains(&word.as_str()));
        let said = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        if said(COMMANDS) || named(OWN_COMMANDS) || (said(&["code"]) && said(WITH_CODE)) {
            return Self::Commands;
        }
        if said(QUERIES) || named(OWN_QUERIES) || (named(&["query"]) && said(WITH_QUERY)) {
            return Self::Queries;
        }
        if named(PROSE) { Self::Prose } else { Self::Plain }
    }
}

/// The words, `camelCase` and `snake_case` apart, in lower case.
fn split(words: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut lower = false;
    for c in words.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower) {
            out.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase();
    }
    out.push(word);
    out.retain(|word| !word.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_descriptions_say_what_a_text_is_for() {
        for (name, words, expected) in [
            ("region", "forecast The region", Purpose::Plain),
            ("input", "run_shell", Purpose::Commands),
            ("filePattern", "find", Purpose::Commands),
            ("region", "analyze_load_pattern", Purpose::Plain),
            ("q", "search A regular expression", Purpose::Commands),
            ("country_code", "The code of the country", Purpose::Plain),
            ("code", "Code to run", Purpose::Commands),
            ("query", "ask The SQL to run", Purpose::Queries),
            ("query", "search What to look for, and where", Purpose::Plain),
            ("query", "Runs against the database", Purpose::Queries),
            ("body", "send_email", Purpose::Prose),
            ("fileContent", "write", Purpose::Prose),
            ("region", "Note: the title of the region", Purpose::Plain),
            ("barcode", "decode", Purpose::Plain),
        ] {
            let words = format!("{words} {name}");
            assert_eq!(Purpose::of(name, &words), expected, "{name}: {words}");
        }
    }
}
