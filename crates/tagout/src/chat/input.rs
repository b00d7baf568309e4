//! What a person types.

/// A line of a person, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing.
    Empty,
    /// `/NAME REST`.
    Command {
        /// The name, without the slash.
        name: String,
        /// What follows it.
        rest: String,
    },
    /// A question, with the resources that it names as `@SERVER:URI`.
    Question {
        /// All of it, as typed.
        words: String,
        /// Server and URI of each, in order, each once.
        attached: Vec<(String, String)>,
    },
}

/// What `line` means. Two slashes in front begin a question that starts with one.
pub(crate) fn read(line: &str) -> Input {
    let line = line.trim();
    if line.is_empty() {
        return Input::Empty;
    }
    if let Some(question) = line.strip_prefix('/').filter(|rest| rest.starts_with('/')) {
        return question_of(question);
    }
    let Some(command) = line.strip_prefix('/') else { return question_of(line) };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    Input::Command { name: name.to_owned(), rest: rest.trim().to_owned() }
}

fn question_of(text: &str) -> Input {
    let mut attached = Vec::new();
    for word in text.split_whitespace() {
        if let Some(found) = attachment(word)
            && !attached.contains(&found)
        {
            attached.push(found);
        }
    }
    Input::Question { words: text.to_owned(), attached }
}

/// Server and URI of `@SERVER:URI`; what ends a sentence is no part of it.
pub(crate) fn attachment(word: &str) -> Option<(String, String)> {
    let (server, uri) = word.strip_prefix('@')?.split_once(':')?;
    let uri = uri.trim_end_matches(['.', ',', ';', '?', '!', ')', '"', '\'']);
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let sound = !server.is_empty() && server.chars().all(named) && !uri.is_empty();
    sound.then(|| (server.to_owned(), uri.to_owned()))
}

/// Words with quotes around what has spaces, and a backslash before what stands for itself.
///
/// # Errors
/// A quote that does not end.
pub(crate) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(rest.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote does not end");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(words: &str, attached: &[(&str, &str)]) -> Input {
        let attached = attached.iter().map(|(s, u)| ((*s).to_owned(), (*u).to_owned())).collect();
        Input::Question { words: words.to_owned(), attached }
    }

    fn command(name: &str, rest: &str) -> Input {
        Input::Command { name: name.to_owned(), rest: rest.to_owned() }
    }

    #[test]
    fn lines_are_understood() {
        for (line, expected) in [
            ("  ", Input::Empty),
            ("/help", command("help", "")),
            ("/model  openai:gpt-6-luna ", command("model", "openai:gpt-6-luna")),
            ("//etc is a folder", question("/etc is a folder", &[])),
            ("what of a@b.c: x", question("what of a@b.c: x", &[])),
            (
                "sum up @grid:grid://load/north, and @grid:grid://load/north.",
                question(
                    "sum up @grid:grid://load/north, and @grid:grid://load/north.",
                    &[("grid", "grid://load/north")],
                ),
            ),
            ("@grid:", question("@grid:", &[])),
            ("@:x @a b:c", question("@:x @a b:c", &[])),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn words_have_quotes() {
        for (text, expected) in [
            ("", vec![]),
            ("a  b", vec!["a", "b"]),
            (r#"region="North Sea" x"#, vec!["region=North Sea", "x"]),
            (r#"'it "is"' a\ b ''"#, vec![r#"it "is""#, "a b", ""]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        assert!(words("'open").is_err());
    }
}
