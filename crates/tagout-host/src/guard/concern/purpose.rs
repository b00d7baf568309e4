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

const COMMANDS: &[&str] = &[
    "argv",
    "bash",
    "cli",
    "cmd",
    "code",
    "command",
    "commands",
    "commandline",
    "eval",
    "exec",
    "execute",
    "expr",
    "expression",
    "formula",
    "glob",
    "javascript",
    "jq",
    "lua",
    "pattern",
    "perl",
    "powershell",
    "program",
    "python",
    "regex",
    "regexp",
    "ruby",
    "script",
    "scripts",
    "sh",
    "shell",
    "snippet",
    "source",
    "template",
    "terminal",
    "typescript",
];

const QUERIES: &[&str] = &[
    "bigquery",
    "clause",
    "cypher",
    "database",
    "db",
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
    "statement",
    "statements",
    "where",
];

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
    /// What `words` speak of: names and descriptions from the tool down to the text.
    pub(super) fn of(words: &str) -> Self {
        let (mut prose, mut queries) = (false, false);
        for word in split(words) {
            let is_in = |list: &[&str]| list.contains(&word.as_str());
            if is_in(COMMANDS) {
                return Self::Commands;
            }
            queries |= is_in(QUERIES);
            prose |= is_in(PROSE);
        }
        match (queries, prose) {
            (true, _) => Self::Queries,
            (false, true) => Self::Prose,
            (false, false) => Self::Plain,
        }
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
        for (words, expected) in [
            ("forecast region The region", Purpose::Plain),
            ("run_shell input", Purpose::Commands),
            ("find filePattern", Purpose::Commands),
            ("search q A regular expression", Purpose::Commands),
            ("ask query The SQL to run", Purpose::Queries),
            ("send_email body", Purpose::Prose),
            ("write fileContent", Purpose::Prose),
            ("decode barcode", Purpose::Plain),
        ] {
            assert_eq!(Purpose::of(words), expected, "{words}");
        }
    }
}
