//! What stands inside a paragraph: emphasis, code, links.
//!
//! The rules are CommonMark's, but for these: addresses are always shown, HTML is text, and of
//! entities only those that write a sign of markup are read, so that none brings a character that
//! was taken out before.
mod address;
mod emphasis;

use std::collections::BTreeSet;

use crate::style::{Row, Span, Style};
use address::{autolink, bare, destination};
use emphasis::{Delimiter, Range, delimiter, matched};

/// The pieces of `text`, with their styles added to `base`.
pub(super) fn spans(text: &str, base: Style) -> Row {
    let mut reader = Reader { text, at: 0, pieces: Vec::new(), brackets: Vec::new() };
    let ranges = reader.read();
    styled(&reader.pieces, &ranges, base)
}

/// A piece of the text.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String, Style),
    /// A run of signs that may be markup; so many are left.
    Run(Delimiter),
}

/// A bracket that may turn out to open a link.
struct Bracket {
    piece: usize,
    image: bool,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    pieces: Vec<Piece>,
    brackets: Vec<Bracket>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn read(&mut self) -> Vec<Range> {
        let mut ranges = Vec::new();
        // Lengths of runs of backticks that have no partner any more.
        let mut alone = BTreeSet::new();
        while let Some(c) = self.rest().chars().next() {
            match c {
                '\\' => self.escape(),
                '`' => self.code_span(&mut alone),
                '!' if self.rest().starts_with("![") => self.open("![", true),
                '[' => self.open("[", false),
                ']' => self.close(&mut ranges),
                '<' => self.angle(),
                '&' => self.entity(),
                '\n' => self.line_break(),
                '*' | '_' | '~' => self.run(c),
                'h' => self.address(),
                c => self.literal(c, c.len_utf8()),
            }
        }
        ranges.extend(matched(&mut self.pieces, 0));
        ranges
    }

    fn literal(&mut self, c: char, bytes: usize) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text, style)) if *style == Style::PLAIN => text.push(c),
            Some(_) | None => self.pieces.push(Piece::Text(c.to_string(), Style::PLAIN)),
        }
        self.at += bytes;
    }

    fn push(&mut self, text: impl Into<String>, style: Style, bytes: usize) {
        self.pieces.push(Piece::Text(text.into(), style));
        self.at += bytes;
    }

    fn escape(&mut self) {
        match self.rest().chars().nth(1) {
            Some(c) if c.is_ascii_punctuation() => self.literal(c, 2),
            Some('\n') => self.literal('\n', 2),
            Some(_) | None => self.literal('\\', 1),
        }
    }

    fn code_span(&mut self, alone: &mut BTreeSet<usize>) {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| *byte == b'`').count();
        let inside = rest.get(length..).unwrap_or_default();
        let end = if alone.contains(&length) { None } else { code_end(inside, length) };
        let Some(code) = end.and_then(|end| inside.get(..end)) else {
            alone.insert(length);
            return self.push("`".repeat(length), Style::PLAIN, length);
        };
        let shown = code.replace('\n', " ");
        let bare = shown.strip_prefix(' ').and_then(|code| code.strip_suffix(' '));
        let shown = bare.filter(|code| !code.trim().is_empty()).unwrap_or(&shown).to_owned();
        self.push(shown, Style::CODE, 2 * length + code.len());
    }

    fn open(&mut self, sign: &str, image: bool) {
        self.brackets.push(Bracket { piece: self.pieces.len(), image });
        self.push(sign, Style::PLAIN, sign.len());
        // What follows is a piece of its own: the bracket may be replaced.
        self.push("", Style::PLAIN, 0);
    }

    fn close(&mut self, ranges: &mut Vec<Range>) {
        let rest = self.rest();
        let target = rest.strip_prefix("](").and_then(destination);
        let (Some(bracket), Some(target)) = (self.brackets.pop(), target) else {
            return self.push("]", Style::PLAIN, 1);
        };
        ranges.extend(matched(&mut self.pieces, bracket.piece));
        let words = self.pieces.get(bracket.piece + 1..).unwrap_or_default();
        let words: String = words.iter().map(Piece::words).collect();
        let opening = if bracket.image { "[image: " } else { "" };
        if let Some(piece) = self.pieces.get_mut(bracket.piece) {
            *piece = Piece::Text(opening.to_owned(), Style::PLAIN);
        }
        let end = self.pieces.len();
        if bracket.image {
            self.push("]", Style::PLAIN, 0);
        } else {
            ranges.push(Range { from: bracket.piece, to: end, style: Style::UNDERLINE });
            // There are no links in links.
            self.brackets.retain(|bracket| bracket.image);
        }
        // Words that are the address already say where it goes.
        if bracket.image || words != target.address {
            self.push(format!(" <{}>", target.address), Style::PLAIN, 0);
        }
        if let Some(title) = target.title {
            self.push(format!(" \"{title}\""), Style::PLAIN, 0);
        }
        // Text, so that what follows is not taken for a part of the address.
        self.push("", Style::PLAIN, 2 + target.bytes);
    }

    fn angle(&mut self) {
        match autolink(self.rest()) {
            Some(bytes) => {
                let link = self.rest().get(..bytes).unwrap_or_default();
                self.push(link, Style::UNDERLINE, bytes);
            }
            None => self.literal('<', 1),
        }
    }

    fn entity(&mut self) {
        let known = [
            ("&amp;", '&'),
            ("&lt;", '<'),
            ("&gt;", '>'),
            ("&quot;", '"'),
            ("&#39;", '\''),
            ("&nbsp;", ' '),
        ];
        let found = known.iter().find(|(entity, _)| self.rest().starts_with(entity));
        let (entity, c) = found.copied().unwrap_or(("&", '&'));
        self.literal(c, entity.len());
    }

    /// A space, or a line break where two spaces stand before it.
    fn line_break(&mut self) {
        let before = self.text.get(..self.at).unwrap_or_default();
        let hard = before.ends_with("  ");
        if let Some(Piece::Text(text, style)) = self.pieces.last_mut()
            && *style == Style::PLAIN
        {
            text.truncate(text.trim_end_matches(' ').len());
        }
        self.literal(if hard { '\n' } else { ' ' }, 1);
    }

    fn run(&mut self, sign: char) {
        let rest = self.rest();
        let length = rest.chars().take_while(|c| *c == sign).count();
        let before = self.text.get(..self.at).and_then(|text| text.chars().next_back());
        let after = rest.get(length..).and_then(|text| text.chars().next());
        let delimiter = delimiter(sign, length, before, after);
        self.pieces.push(Piece::Run(delimiter));
        self.at += length;
    }

    /// Signs in an address are no markup.
    fn address(&mut self) {
        match bare(self.rest()) {
            Some(bytes) => {
                let link = self.rest().get(..bytes).unwrap_or_default();
                self.push(link, Style::UNDERLINE, bytes);
            }
            None => self.literal('h', 1),
        }
    }
}

impl Piece {
    fn words(&self) -> String {
        match self {
            Self::Text(text, _) => text.clone(),
            Self::Run(run) => run.sign.to_string().repeat(run.left),
        }
    }
}

/// Where the next run of just so many backticks starts.
fn code_end(text: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        at += rest.find('`')?;
        let run = text.get(at..)?.bytes().take_while(|byte| *byte == b'`').count();
        if run == length {
            return Some(at);
        }
        at += run;
    }
}

/// What ranges say.
const KINDS: [Style; 4] = [Style::BOLD, Style::ITALIC, Style::STRIKE, Style::UNDERLINE];

fn styled(pieces: &[Piece], ranges: &[Range], base: Style) -> Row {
    // How many ranges of each kind start and end before a piece.
    let mut changes = vec![[0_isize; KINDS.len()]; pieces.len() + 1];
    for range in ranges {
        for (place, change) in [(range.from + 1, 1), (range.to, -1)] {
            let counts = changes.get_mut(place).into_iter().flatten();
            let mut same = counts.zip(KINDS).filter(|(_, kind)| *kind == range.style);
            if let Some((count, _)) = same.next() {
                *count += change;
            }
        }
    }
    let mut open = [0_isize; KINDS.len()];
    let mut row = Row::new();
    for (piece, changes) in pieces.iter().zip(changes) {
        let mut style = base;
        for ((open, change), kind) in open.iter_mut().zip(changes).zip(KINDS) {
            *open += change;
            style = if *open > 0 { style.and(kind) } else { style };
        }
        if let Piece::Text(_, own) = piece {
            style = style.and(*own);
        }
        let text = piece.words();
        match row.last_mut() {
            Some(span) if span.style == style => span.text.push_str(&text),
            Some(_) | None => row.push(Span { text, style }),
        }
    }
    row.retain(|span| !span.text.is_empty());
    row
}
