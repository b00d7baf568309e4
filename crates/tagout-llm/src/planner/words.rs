//! Words: where they stand, what they come from, and which mean about the same.
use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// A stretch of the question, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A word of the question.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) stem: String,
    pub(super) span: Span,
}

/// The runs of letters and digits of `text`, as stems with their places.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (character.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(begin)) => {
                let span = Span { start: begin, end: at };
                if let Some(word) = text.get(begin..at) {
                    words.push(Word { stem: stem(word), span });
                }
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    words
}

/// The stems of a name or a sentence; names are also split where camel case turns.
pub(super) fn stems(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut lower = false;
    for character in text.chars() {
        if lower && character.is_uppercase() {
            spaced.push(' ');
        }
        lower = character.is_lowercase();
        spaced.push(character);
    }
    words(&spaced).into_iter().map(|word| word.stem).collect()
}

/// What stands between spaces, without the punctuation around it: `A12-1`, `101_CT_1`, `/etc/x`.
pub(super) fn tokens(text: &str) -> Vec<(&str, Span)> {
    let around = |c: char| "\"'`´“”‘’()[]{}<>,;:!?".contains(c);
    let mut tokens = Vec::new();
    for piece in text.split_whitespace() {
        let offset = piece.as_ptr().addr() - text.as_ptr().addr();
        let left = piece.trim_start_matches(around);
        let token = left.trim_end_matches(|c| around(c) || c == '.');
        let token = token.strip_suffix("'s").or_else(|| token.strip_suffix("’s")).unwrap_or(token);
        let start = offset + (piece.len() - left.len());
        if !token.is_empty() {
            tokens.push((token, Span { start, end: start + token.len() }));
        }
    }
    tokens
}

/// A light stem: plurals (Harman 1991, "How effective is suffixing?", the S stemmer), `-ing`,
/// `-ed`, `-ion` and a final `e`. It need not be a word, only the same for related words.
pub(super) fn stem(word: &str) -> String {
    let word = word.to_lowercase();
    if !word.is_ascii() || word.len() <= 3 || word.bytes().any(|b| b.is_ascii_digit()) {
        return word;
    }
    let word = singular(&word);
    let cut = |suffix: &str, least: usize| {
        word.strip_suffix(suffix).filter(|left| left.len() >= least).map(undouble)
    };
    let word = cut("ization", 3)
        .map(|left| format!("{left}iz"))
        .or_else(|| cut("isation", 3).map(|left| format!("{left}iz")))
        .or_else(|| cut("ing", 4))
        .or_else(|| cut("ed", 4))
        .or_else(|| cut("ion", 4))
        .unwrap_or(word);
    match word.strip_suffix('e') {
        Some(left) if left.len() >= 4 => left.to_owned(),
        Some(_) | None => word,
    }
}

fn singular(word: &str) -> String {
    if let Some(left) = word.strip_suffix("ies").filter(|left| left.len() >= 2) {
        return format!("{left}y");
    }
    for ending in ["sses", "xes", "zes", "ches", "shes"] {
        if word.ends_with(ending) {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    if ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending)) {
        return word.to_owned();
    }
    word.strip_suffix('s').unwrap_or(word).to_owned()
}

/// `running` and `stopped` lose the doubled letter with the ending.
fn undouble(left: &str) -> String {
    let mut letters = left.chars().rev();
    match (letters.next(), letters.next()) {
        (Some(last), Some(before)) if last == before && !matches!(last, 'l' | 's' | 'z') => {
            left.strip_suffix(last).unwrap_or(left).to_owned()
        }
        _ => left.to_owned(),
    }
}

/// Words that carry no meaning for routing: function words, politeness, question words.
pub(super) fn is_stop_word(stem: &str) -> bool {
    static STOP: LazyLock<HashSet<String>> =
        LazyLock::new(|| STOP_WORDS.split_whitespace().map(self::stem).collect());
    STOP.contains(stem)
}

const STOP_WORDS: &str = "a about all am an and any are as at be been but by can could did do does \
    for from get give go got had has have hello hey hi how i if in into is it its just let like \
    may me might more my need now of on or our out over please say shall should so some tell thank \
    thanks than that the their them then there these they this those to today us very want was we \
    were what when where which while who why will with would you your s t m ll re ve d \
    whats im there's much many currently current if given during per";

/// Words that mean about the same, in general English. A word may stand in several groups.
const SYNONYMS: &[&str] = &[
    "show display plot draw chart graph picture visualize visualise visualization diagram figure \
     image render sketch illustrate",
    "curve chart graph plot",
    "risk danger likelihood likely probability probable chance odds hazard risky",
    "outage failure fail fault trip interruption blackout breakdown",
    "analyze analyse analysis examine study statistics stats summarize summarise summary evaluate \
     assess assessment characterize",
    "predict prediction forecast estimate expect project anticipate",
    "load demand consumption",
    "pattern trend shape behaviour behavior variation variability swing volatility volatile",
    "temperature temp hot heat warm cold",
    "wind windy storm gale",
    "gust gusty",
    "precipitation precip rain rainfall rainy wet",
    "weather climate",
    "ice icing glaze",
    "file document",
    "directory folder dir",
    "search find locate look grep",
    "list enumerate",
    "read open view contents content print cat",
    "write save store put",
    "create make new add",
    "delete remove erase wipe purge drop",
    "move rename relocate",
    "edit change modify update replace",
    "difference diff compare changes differ",
    "history log",
    "hour hourly",
    "day daily",
    "week weekly",
    "peak maximum max highest top",
    "minimum min lowest trough",
    "average mean",
    "equipment asset device apparatus machine",
    "window period interval span",
    "size large big",
    "speed velocity fast",
    "send email mail post publish",
    "run execute start launch",
    "stop kill terminate halt shut shutdown",
    "metadata info information detail attributes",
    "undo revert reset unstage",
    "switch checkout",
    "stage staged",
    "begin start from since after",
    "end until till before",
];

/// Verbs that ask for something to be changed. A tool that names no such change must not be the
/// answer to them.
const CHANGES: &str = "delete remove erase wipe purge drop write save store put create make add \
    move rename edit change modify update replace send email mail post publish stop kill terminate \
    halt shut shutdown restart reboot reset revert undo start run execute launch open close switch \
    isolate energize energise deenergize disconnect connect trip issue approve cancel schedule \
    order buy pay set turn enable disable install uninstall deploy reduce increase raise lower fix \
    repair prevent eliminate clear commit push merge stage unstage checkout grant revoke transfer \
    upload import reconfigure configure override bypass ignore";

pub(super) fn is_change(stem: &str) -> bool {
    static VERBS: LazyLock<HashSet<String>> =
        LazyLock::new(|| CHANGES.split_whitespace().map(self::stem).collect());
    VERBS.contains(stem)
}

/// How much a synonym counts beside the word itself.
pub(super) const SYNONYM: f64 = 0.7;

/// The numbers of the groups that a stem stands in.
pub(super) fn groups(stem: &str) -> &'static [usize] {
    static GROUPS: LazyLock<HashMap<String, Vec<usize>>> = LazyLock::new(|| {
        let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, group) in SYNONYMS.iter().enumerate() {
            for word in group.split_whitespace() {
                groups.entry(self::stem(word)).or_default().push(number);
            }
        }
        groups
    });
    GROUPS.get(stem).map_or(&[], Vec::as_slice)
}

/// How near two stems are: 1 the same, [`SYNONYM`] in one group, else 0.
pub(super) fn nearness(a: &str, b: &str) -> f64 {
    if a == b {
        return 1.0;
    }
    let others = groups(b);
    if groups(a).iter().any(|group| others.contains(group)) { SYNONYM } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn related_words_share_a_stem() {
        for (a, b) in [
            ("loads", "load"),
            ("visualization", "visualize"),
            ("predicting", "prediction"),
            ("directories", "directory"),
            ("generated", "generation"),
            ("branches", "branch"),
            ("stopped", "stop"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
        assert_ne!(stem("hourly"), stem("hour"));
        assert!(nearness(&stem("Show"), &stem("visualization")) > 0.0);
    }

    #[test]
    fn tokens_keep_identifiers_whole() {
        let text = "Is (A12-1) or 101_CT_1's risk, \"A7\"?";
        let found: Vec<&str> = tokens(text).into_iter().map(|(token, _)| token).collect();
        assert_eq!(found, ["Is", "A12-1", "or", "101_CT_1", "risk", "A7"]);
        for (token, span) in tokens(text) {
            assert_eq!(text.get(span.start..span.end), Some(token));
        }
    }
}
