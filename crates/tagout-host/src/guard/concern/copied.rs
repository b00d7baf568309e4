//! What in arguments was copied from where nobody asked for it.
use super::{
    Concern, concern,
    leaves::Leaf,
    quoted,
    runs::{GRAM, Run, Runs, alike},
    said::Said,
    work::Work,
};

/// So many characters in a row are a text, not a name.
const TEXT: usize = 40;
/// So many are worth a word where they are not all of a text.
const PHRASE: usize = 20;
/// So many in phrases are a text that was copied in pieces…
const IN_PHRASES: usize = 120;
/// …or in shorter pieces, where a text is hardly anything else.
const IN_PIECES: usize = 80;
/// So many of the operator's instructions are a copy.
const INSTRUCTIONS: usize = 80;

/// The longest piece of a text that others wrote and the person did not.
struct Longest {
    length: usize,
    source: usize,
    from: usize,
    to: usize,
}

/// What is known of one text.
struct Text {
    longest: Option<Longest>,
    /// What the person said, too, byte by byte.
    known: Vec<bool>,
    /// How long the piece is that a byte was copied with, byte by byte.
    copied: Vec<u8>,
}

impl Text {
    fn of(text: &str) -> Self {
        let (known, copied) = (vec![false; text.len()], vec![0; text.len()]);
        Self { longest: None, known, copied }
    }

    fn by_person(&mut self, from: usize, to: usize) {
        self.known.get_mut(from..to).unwrap_or_default().fill(true);
    }

    fn by_source(&mut self, source: usize, from: usize, to: usize) {
        let known = self.known.get(from..to).unwrap_or_default();
        let length = known.iter().filter(|known| !**known).count();
        if length < GRAM {
            return;
        }
        let weight = u8::try_from(length).unwrap_or(u8::MAX);
        let copied = self.copied.get_mut(from..to).unwrap_or_default();
        for (byte, _) in copied.iter_mut().zip(known).filter(|(_, known)| !**known) {
            *byte = weight.max(*byte);
        }
        if length > self.longest.as_ref().map_or(0, |best| best.length) {
            self.longest = Some(Longest { length, source, from, to });
        }
    }

    /// Bytes that were copied in pieces of `least` and more.
    fn in_pieces_of(&self, least: usize) -> usize {
        self.copied.iter().filter(|weight| usize::from(**weight) >= least).count()
    }

    /// Bytes that are not the person's.
    fn unknown(&self) -> usize {
        self.known.iter().filter(|known| !**known).count()
    }
}

/// How much was copied in pieces that are each too short to be a text.
#[derive(Clone, Copy, Default)]
struct Share {
    phrases: usize,
    pieces: usize,
    unknown: usize,
}

impl Share {
    fn of(text: &Text) -> Self {
        let (phrases, pieces) = (text.in_pieces_of(PHRASE), text.in_pieces_of(GRAM));
        Self { phrases, pieces, unknown: text.unknown() }
    }

    fn and(self, other: Self) -> Self {
        Self {
            phrases: self.phrases + other.phrases,
            pieces: self.pieces + other.pieces,
            unknown: self.unknown + other.unknown,
        }
    }

    /// Whether that is a text of others all the same: some of it is in everything.
    const fn is_text(self) -> bool {
        (self.phrases >= IN_PHRASES && self.phrases.saturating_mul(2) >= self.unknown)
            || (self.pieces >= IN_PIECES && self.pieces.saturating_mul(4) >= self.unknown * 3)
    }
}

/// Finds what was copied word for word, also from the operator's instructions; false if not
/// everything was compared.
pub(super) fn concerns(
    leaves: &[Leaf<'_>],
    said: &Said,
    work: &mut Work,
    found: &mut Vec<Concern>,
) -> bool {
    let alike: Vec<String> = leaves.iter().map(|leaf| alike(leaf.text)).collect();
    let mut texts: Vec<Text> = alike.iter().map(|text| Text::of(text)).collect();
    let mut runs = Runs::of(alike.iter().map(String::as_bytes).collect());
    let mut all = instructions(leaves, said, (&mut runs, work), found);
    for words in [&said.earlier, &said.words] {
        all &= runs.look(words.as_bytes(), work, |Run { text, from, to }| {
            if let Some(text) = texts.get_mut(text) {
                text.by_person(from, to);
            }
            true
        });
    }
    for (source, other) in said.sources.iter().enumerate() {
        all &= runs.look(other.text.as_bytes(), work, |Run { text, from, to }| {
            let Some(text) = texts.get_mut(text) else { return false };
            text.by_source(source, from, to);
            text.longest.as_ref().is_none_or(|best| best.length < TEXT)
        });
    }
    let mut sum = Share::default();
    for ((leaf, written), text) in leaves.iter().zip(&alike).zip(&texts) {
        let share = Share::of(text);
        sum = sum.and(share);
        found.extend(one(leaf, (written, text, share), said, found));
    }
    if sum.is_text() && !found.iter().any(|concern| concern.holds) {
        let detail = format!("{} bytes of it, here and there, stand in results", sum.pieces);
        found.push(concern("", "copied-from-result", detail, true));
    }
    all
}

/// What is odd about one text.
fn one(
    leaf: &Leaf<'_>,
    (written, text, share): (&str, &Text, Share),
    said: &Said,
    found: &[Concern],
) -> Option<Concern> {
    let Longest { length, source, from, to } = *text.longest.as_ref()?;
    let name = said.name(source);
    let piece = String::from_utf8_lossy(written.as_bytes().get(from..to).unwrap_or_default());
    let whole = from == 0 && to == written.len();
    if length < TEXT && share.is_text() {
        let bytes = share.pieces;
        let detail = format!("{bytes} bytes of it stand in results, piece by piece, as in {name}");
        let detail = format!("{detail}: {}", quoted(&piece));
        return Some(concern(&leaf.path, "copied-from-result", detail, true));
    }
    let holds = length >= TEXT || (leaf.is_secret() && whole);
    // Half a date or a name in other words is no news, nor what was said to be odd already.
    let news =
        (whole || length >= PHRASE) && !found.iter().any(|concern| concern.path == leaf.path);
    let detail = format!("it stands in {name} and not in the question: {}", quoted(&piece));
    (holds || news).then(|| concern(&leaf.path, "copied-from-result", detail, holds))
}

/// Finds what was copied from the operator's instructions.
fn instructions(
    leaves: &[Leaf<'_>],
    said: &Said,
    (runs, work): (&mut Runs<'_>, &mut Work),
    found: &mut Vec<Concern>,
) -> bool {
    let mut copied = vec![false; leaves.len()];
    let all = runs.look(said.operator.as_bytes(), work, |Run { text, from, to }| {
        if let Some(copied) = copied.get_mut(text) {
            *copied |= to - from >= INSTRUCTIONS;
        }
        true
    });
    for (leaf, _) in leaves.iter().zip(copied).filter(|(_, copied)| *copied) {
        let detail = "it holds a long piece of the operator's instructions, word for word";
        found.push(concern(&leaf.path, "instructions-copied", detail.to_owned(), true));
    }
    all
}
