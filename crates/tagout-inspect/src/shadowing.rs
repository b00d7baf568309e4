//! Text of one server that speaks about another's tools: a description is read by the model along
//! with all others, so one server's can change how the model uses another's.
//!
//! What it misses: other languages than English, and words that name nothing (`the other tool`).
//!
//! A text is gone through once, however many names it is held against, and one that would take long
//! is not gone through at all.
use std::collections::{BTreeMap, HashMap};

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

/// The longest text that is looked through, in bytes; descriptions that a person reads have a few
/// thousand.
const LONGEST: usize = 64 << 10;
/// The most phrases that are held against places of one text.
const LOOKS: usize = 2_000_000;

/// Names of tools and their servers, to be looked for in texts all at once.
#[derive(Debug, Default)]
pub struct Names {
    /// What is looked for, by its longest word.
    by_word: HashMap<String, Vec<Phrase>>,
}

#[derive(Debug)]
struct Phrase {
    text: String,
    /// Where its longest word begins.
    word_at: usize,
    of: usize,
    way: Way,
}

/// What a phrase means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The tool, as that server's.
    Theirs,
    /// The tool, in words that are no other's.
    Named,
    /// The server.
    Server,
}

/// What a text says about a tool of another server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// It names the tool, in words that are no other's, and tells what to do about it. A word that
    /// is merely the same (`search`) names nothing.
    pub tells: bool,
    /// It does so and says whose tool it means.
    pub tells_of_theirs: bool,
    /// It names the server, or the tool as that server's: of a tool that is called the same as
    /// another's, that is enough.
    pub names_server: bool,
}

impl Names {
    /// Looks for another tool as well, which is called `number` in what is found.
    pub fn add(&mut self, number: usize, other: Other<'_>) {
        let (server, tool) = (other.server.to_lowercase(), other.tool.to_lowercase());
        let mut add = |way: Way, text: String| {
            // What is made of no word names nothing.
            let Some((word_at, word)) = words(&text).max_by_key(|(_, word)| word.len()) else {
                return;
            };
            let phrases = self.by_word.entry(word.to_owned()).or_default();
            phrases.push(Phrase { word_at, of: number, way, text: text.clone() });
        };
        if other.qualified != other.tool {
            add(Way::Theirs, other.qualified.to_lowercase());
        }
        for between in ["__", "/", ".", ":", "::", "'s ", " server's "] {
            add(Way::Theirs, format!("{server}{between}{tool}"));
        }
        add(Way::Theirs, format!("{tool} of {server}"));
        add(Way::Theirs, format!("{tool} from {server}"));
        for way in [format!("{server} server"), format!("{server} mcp"), format!("{server}'s")] {
            add(Way::Server, way);
        }
        add(Way::Server, format!("server {server}"));
        for quote in ['`', '"', '\''] {
            add(Way::Server, format!("{quote}{server}{quote}"));
        }
        if is_distinctive(other.tool) {
            return add(Way::Named, tool);
        }
        for quote in ['`', '"', '\''] {
            add(Way::Named, format!("{quote}{tool}{quote}"));
        }
        add(Way::Named, format!("{tool} tool"));
        add(Way::Named, format!("tool {tool}"));
    }
}

/// A text of one server, ready to be held against tools of others.
#[derive(Clone, Debug)]
pub struct Said {
    /// In lower case.
    text: String,
    /// It is longer than what is looked through.
    is_too_long: bool,
    /// Where words of instruction begin and end, in order.
    told: Vec<(usize, usize)>,
    /// Where sentences end.
    ends: Vec<usize>,
}

impl Said {
    /// Of these pieces.
    #[must_use]
    pub fn of<T: AsRef<str>>(pieces: impl IntoIterator<Item = T>) -> Self {
        let (mut text, mut is_too_long) = (String::new(), false);
        for piece in pieces {
            let piece = piece.as_ref();
            is_too_long |= text.len().saturating_add(piece.len()) > LONGEST;
            if is_too_long {
                break;
            }
            text.push_str(&piece.to_lowercase());
            text.push('\n');
        }
        let told = INSTRUCTIONS.iter().flat_map(|word| places(&text, word));
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        let mut ends: Vec<_> = ends(&text).collect();
        // A full stop at the end of a line ends one sentence, not two.
        ends.dedup_by(|end, before| {
            text.get(*before..*end).is_some_and(|between| !between.contains(is_part))
        });
        Self { text, is_too_long, told, ends }
    }

    /// What it says about which of the tools that `names` looks for; nothing where it is too long
    /// to be looked through, which no honest text is.
    #[must_use]
    pub fn speaks_of(&self, names: &Names) -> Option<BTreeMap<usize, Spoken>> {
        let mut found = BTreeMap::<usize, Spoken>::new();
        let mut looks = 0_usize;
        for (at, word) in words(&self.text) {
            let phrases = names.by_word.get(word).map_or(&[][..], Vec::as_slice);
            looks = looks.saturating_add(phrases.len());
            if looks > LOOKS {
                return None;
            }
            for phrase in phrases {
                let Some(at) = at.checked_sub(phrase.word_at) else { continue };
                let there = self.text.get(at..).is_some_and(|rest| rest.starts_with(&phrase.text));
                if there && self.is_apart(at, &phrase.text) {
                    let spoken = found.entry(phrase.of).or_default();
                    self.note(spoken, phrase.way, at);
                }
            }
        }
        (!self.is_too_long).then_some(found)
    }

    fn note(&self, spoken: &mut Spoken, way: Way, at: usize) {
        match way {
            Way::Server => spoken.names_server = true,
            Way::Named => spoken.tells = spoken.tells || self.instructs(at),
            Way::Theirs => {
                spoken.names_server = true;
                spoken.tells_of_theirs = spoken.tells_of_theirs || self.instructs(at);
                spoken.tells = spoken.tells || spoken.tells_of_theirs;
            }
        }
    }

    fn is_apart(&self, at: usize, phrase: &str) -> bool {
        is_apart(&self.text, at, phrase)
    }

    /// Whether the sentence around a place, or one beside it, tells what to do.
    fn instructs(&self, at: usize) -> bool {
        let next = self.ends.partition_point(|end| *end < at);
        let start = next.checked_sub(2).and_then(|second| self.ends.get(second)).copied();
        let end = self.ends.get(next + 1).copied().unwrap_or(self.text.len());
        let first = self.told.partition_point(|(from, _)| *from < start.unwrap_or(0));
        let mut told = self.told.iter().skip(first).take_while(|(from, _)| *from < end);
        told.any(|(_, to)| *to <= end)
    }
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

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of a text, and where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive(|c| !is_part(c)).filter_map(move |piece| {
        let start = at;
        at += piece.len();
        let word = piece.trim_end_matches(|c| !is_part(c));
        (!word.is_empty()).then_some((start, word))
    })
}

/// Where `word` stands in `text` on its own: where it begins and ends.
fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    let found = text.match_indices(word).map(|(at, found)| (at, at + found.len()));
    found.filter(move |(at, _)| is_apart(text, *at, word))
}

/// Whether `word`, which stands at `at`, is part of no longer word.
fn is_apart(text: &str, at: usize, word: &str) -> bool {
    let apart = |inside: Option<char>, beside: Option<char>| {
        !(inside.is_some_and(is_part) && beside.is_some_and(is_part))
    };
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
    apart(word.chars().next(), before) && apart(word.chars().next_back(), after)
}

/// Where sentences end. A dot inside of a name ends none.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let ends = text.match_indices(['.', '!', '?', '\n', ';']);
    ends.map(|(at, _)| at).filter(|at| {
        let next = text.get(at + 1..).and_then(|rest| rest.chars().next());
        next.is_none_or(char::is_whitespace)
            || text.get(*at..).is_some_and(|rest| rest.starts_with('\n'))
    })
}
