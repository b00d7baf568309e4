//! Names that a person, or a model, takes for another: they differ in case, in what stands between
//! their words, in characters that are not seen, or in letters of other scripts that look the same.
//!
//! What it misses: names that only mean the same (`read_file`, `file_read`), and letters that look
//! alike in some typefaces alone.
use unicode_normalization::UnicodeNormalization as _;

use crate::characters::hidden;

/// What a name looks like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Looks {
    /// The look of the name in lower case.
    pub folded: String,
    /// The look of the name as it is written, then in lower case: a capital `I` is a small `l`.
    pub written: String,
}

/// What `name` looks like: compatible forms are one, hidden characters are left out, case does not
/// count, nor does what parts words (`read-file`, `read__file`, `readFile`), and look-alikes are by
/// Unicode's table (UTS 39).
#[must_use]
pub fn looks(name: &str) -> Looks {
    let shown: String = name.nfkc().filter(|c| hidden(*c).is_none()).collect();
    let skeleton = |text: &str| unicode_security::skeleton(text).collect::<String>();
    let folded = skeleton(&shown.to_lowercase()).to_lowercase();
    // What looks like a letter of this may be one in capitals.
    let (folded, written) = (skeleton(&folded), skeleton(&skeleton(&shown).to_lowercase()));
    Looks { folded: joined(folded), written: joined(written) }
}

/// The same without what parts words, unless there is nothing else.
fn joined(name: String) -> String {
    let joined: String = name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).collect();
    if joined.is_empty() { name } else { joined }
}

impl Looks {
    /// Whether two different names pass for each other.
    #[must_use]
    pub fn passes_for(&self, other: &Self) -> bool {
        self.folded == other.folded || self.written == other.written
    }
}

/// `name` with every character that is not plain ASCII followed by what it is, so that a Cyrillic
/// `а` shows itself as `а<U+0430>`.
#[must_use]
pub fn spelled(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if hidden(c).is_none() && !matches!(c, '\t' | '\n' | '\r') {
            out.push(c);
        }
        if !matches!(c, ' '..='~') {
            out.push_str(&format!("<U+{:04X}>", u32::from(c)));
        }
    }
    out
}
