//! Text of one server that speaks about another's tools: a description is read by the model along
//! with all others, so one server's can change how the model uses another's.
//!
//! What it misses: other languages than English, and words that name nothing (`the other tool`).
//!
//! A text is gone through once, however many names it is held against, and one that would take long
//! is not gone through at all.
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// What a name is put into that is a word of its own.
const QUOTES: [char; 3] = ['`', '"', '\''];

/// Names of tools and their servers, to be looked for in texts all at once.
#[derive(Debug, Default)]
pub struct Names {
    /// What is looked for, by its longest word.
    by_word: HashMap<String, Vec<Phrase>>,
    /// The numbers of each server's tools, and which of these lists is whose.
    of_servers: Vec<Vec<usize>>,
    servers: HashMap<String, usize>,
}

#[derive(Debug)]
struct Phrase {
    text: String,
    /// Where its longest word begins.
    word_at: usize,
    /// The tool's number; of a server, the place of its tools' numbers.
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
        self.add_server(number, &server);
        if other.qualified != other.tool {
            self.look_for(number, Way::Theirs, other.qualified.to_lowercase());
        }
        for between in ["__", "/", ".", ":", "::", "'s ", " server's "] {
            self.look_for(number, Way::Theirs, format!("{server}{between}{tool}"));
        }
        self.look_for(number, Way::Theirs, format!("{tool} of {server}"));
        self.look_for(number, Way::Theirs, format!("{tool} from {server}"));
        if is_distinctive(other.tool) {
            return self.look_for(number, Way::Named, tool);
        }
        for quote in QUOTES {
            self.look_for(number, Way::Named, format!("{quote}{tool}{quote}"));
        }
        self.look_for(number, Way::Named, format!("{tool} tool"));
        self.look_for(number, Way::Named, format!("tool {tool}"));
    }

    /// Looks for a server, once for all of its tools.
    fn add_server(&mut self, number: usize, server: &str) {
        if let Some(numbers) = self.servers.get(server).and_then(|at| self.of_servers.get_mut(*at))
        {
            return numbers.push(number);
        }
        let place = self.of_servers.len();
        self.of_servers.push(vec![number]);
        self.servers.insert(server.to_owned(), place);
        for way in [
            format!("{server} server"),
            format!("{server} mcp"),
            format!("{server}'s"),
            format!("server {server}"),
        ] {
            self.look_for(place, Way::Server, way);
        }
        for quote in QUOTES {
            self.look_for(place, Way::Server, format!("{quote}{server}{quote}"));
        }
    }

    fn look_for(&mut self, of: usize, way: Way, text: String) {
        // What is made of no word names nothing.
        let longest = words(&text).max_by_key(|(_, word)| word.len());
        let Some((word_at, word)) = longest.map(|(at, word)| (at, word.to_owned())) else { return };
        self.by_word.entry(word).or_default().push(Phrase { text, word_at, of, way });
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
        let (mut found, mut servers) = (BTreeMap::<usize, Spoken>::new(), BTreeSet::new());
        let mut looks = 0_usize;
        for (at, word) in words(&self.text) {
            let phrases = names.by_word.get(word).map_or(&[][..], Vec::as_slice);
            looks = looks.saturating_add(phrases.len());
            if looks > LOOKS {
                return None;
            }
            for phrase in phrases {
                let Some(at) = at.checked_sub(phrase.word_at) else { continue };
                if !self.holds_at(at, &phrase.text) {
                    continue;
                }
                if phrase.way == Way::Server {
                    servers.insert(phrase.of);
                    continue;
                }
                let spoken = found.entry(phrase.of).or_default();
                let is_theirs = phrase.way == Way::Theirs;
                spoken.names_server |= is_theirs;
                if !spoken.tells || (is_theirs && !spoken.tells_of_theirs) {
                    let tells = self.instructs(at);
                    spoken.tells |= tells;
                    spoken.tells_of_theirs |= tells && is_theirs;
                }
            }
        }
        for number in servers.iter().filter_map(|place| names.of_servers.get(*place)).flatten() {
            found.entry(*number).or_default().names_server = true;
        }
        (!self.is_too_long).then_some(found)
    }

    /// Whether `phrase` stands there on its own.
    fn holds_at(&self, at: usize, phrase: &str) -> bool {
        self.text.get(at..).is_some_and(|rest| rest.starts_with(phrase))
            && is_apart(&self.text, at, phrase)
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
