//! Text of one server that speaks about another's tools: a description is read by the model along
//! with all others, so one server's can change how the model uses another's.
//!
//! What it misses: other languages than English, and words that name nothing (`the other tool`).

/// What one server's text is held against: a tool of another server.
#[derive(Clone, Copy, Debug)]
pub struct Other<'a> {
    /// Its server.
    pub server: &'a str,
    /// Its name there.
    pub tool: &'a str,
    /// Its name for clients.
    pub qualified: &'a str,
}

/// Words that tell a model what to do, rather than what is there.
const INSTRUCTIONS: &[&str] = &[
    "instead",
    "before",
    "after",
    "always",
    "never",
    "must",
    "do not",
    "don't",
    "should",
    "only use",
    "prefer",
    "replaces",
    "replacement",
    "deprecated",
    "disabled",
    "broken",
    "first call",
    "when using",
    "whenever",
    "every time",
    "ignore",
    "disregard",
    "make sure",
    "important",
    "required",
    "also call",
    "bcc",
    "redirect",
    "mandatory",
];

/// A text of one server, ready to be held against many tools of others.
#[derive(Clone, Debug)]
pub struct Said(String);

impl Said {
    /// Of these pieces.
    #[must_use]
    pub fn of<T: AsRef<str>>(pieces: impl IntoIterator<Item = T>) -> Self {
        let mut text = String::new();
        for piece in pieces {
            text.push_str(&piece.as_ref().to_lowercase());
            text.push('\n');
        }
        Self(text)
    }

    /// Whether it names the other tool, in words that are no other's, and tells what to do about
    /// it. A word that is merely the same (`search`) names nothing.
    #[must_use]
    pub fn speaks_of(&self, other: Other<'_>) -> bool {
        self.holds(other.tool) && tells(&self.0, names_tool(&self.0, other))
    }

    /// Whether it does so and says whose tool it means.
    #[must_use]
    pub fn speaks_of_theirs(&self, other: Other<'_>) -> bool {
        self.holds(other.tool) && tells(&self.0, qualified_places(&self.0, other))
    }

    /// Whether it names the other server, or a tool as that server's: of a tool that is called the
    /// same as another's, that is enough.
    #[must_use]
    pub fn names_server(&self, other: Other<'_>) -> bool {
        if !self.holds(other.server) {
            return false;
        }
        let server = other.server.to_lowercase();
        let ways = [
            format!("{server} server"),
            format!("{server} mcp"),
            format!("{server}'s"),
            format!("server {server}"),
            format!("`{server}`"),
            format!("\"{server}\""),
            format!("'{server}'"),
        ];
        ways.iter().any(|way| places(&self.0, way).next().is_some())
            || !qualified_places(&self.0, other).is_empty()
    }

    /// One look decides most cases.
    fn holds(&self, name: &str) -> bool {
        self.0.contains(&name.to_lowercase())
    }
}

fn tells(text: &str, places: Vec<usize>) -> bool {
    places.into_iter().any(|at| instructs(text, at))
}

fn qualified_places(text: &str, other: Other<'_>) -> Vec<usize> {
    let (server, tool) = (other.server.to_lowercase(), other.tool.to_lowercase());
    let mut found = Vec::new();
    if other.qualified != other.tool {
        found.extend(places(text, &other.qualified.to_lowercase()));
    }
    for between in ["__", "/", ".", ":", "::", "'s ", " server's "] {
        found.extend(places(text, &format!("{server}{between}{tool}")));
    }
    for way in [format!("{tool} of {server}"), format!("{tool} from {server}")] {
        found.extend(places(text, &way));
    }
    found
}

fn names_tool(text: &str, other: Other<'_>) -> Vec<usize> {
    let mut found = qualified_places(text, other);
    let tool = other.tool.to_lowercase();
    if is_distinctive(other.tool) {
        found.extend(places(text, &tool));
    } else {
        for way in [format!("`{tool}`"), format!("\"{tool}\""), format!("'{tool}'")] {
            found.extend(places(text, &way));
        }
        for way in [format!("{tool} tool"), format!("tool {tool}")] {
            found.extend(places(text, &way));
        }
    }
    found
}

/// Whether a name is of more than one word, so that it is seldom said without being meant.
fn is_distinctive(name: &str) -> bool {
    let inner = name.trim_matches(['_', '-', '.']);
    let mut before_was_lower = false;
    let humps = inner.chars().any(|c| {
        let hump = c.is_uppercase() && before_was_lower;
        before_was_lower = c.is_lowercase();
        hump
    });
    humps || inner.contains(['_', '-', '.'])
}

/// Where `word` stands in `text` on its own, by byte.
fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let apart = move |inside: Option<char>, beside: Option<char>| {
        !(inside.is_some_and(part) && beside.is_some_and(part))
    };
    text.match_indices(word).filter_map(move |(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        let own = apart(word.chars().next(), before) && apart(word.chars().next_back(), after);
        own.then_some(at)
    })
}

/// Whether the sentence around a place, or one beside it, tells what to do.
fn instructs(text: &str, at: usize) -> bool {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = ends(before).rev().nth(1);
    let end = ends(after).nth(1);
    let before = start.and_then(|at| before.get(at..)).unwrap_or(before);
    let after = end.and_then(|at| after.get(..at)).unwrap_or(after);
    let around = format!("{before}{after}");
    INSTRUCTIONS.iter().any(|word| places(&around, word).next().is_some())
}

/// Where sentences end. A dot inside of a name ends none.
fn ends(text: &str) -> impl DoubleEndedIterator<Item = usize> {
    let ends = text.match_indices(['.', '!', '?', '\n', ';']);
    ends.map(|(at, _)| at).filter(|at| {
        let next = text.get(at + 1..).and_then(|rest| rest.chars().next());
        next.is_none_or(char::is_whitespace)
            || text.get(*at..).is_some_and(|rest| rest.starts_with('\n'))
    })
}
