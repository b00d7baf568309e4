//! The words of a command, one after the other.
use super::{Ecosystem, Unfit, Unpinned};

/// A command while it is read.
pub(super) struct Words<'a> {
    pub(super) launcher: String,
    command: &'a [String],
    /// The place of the next word.
    at: usize,
}

/// A word that is an option, or not.
pub(super) enum Word<'a> {
    /// An option, and the value after its `=`.
    Option(&'a str, Option<&'a str>),
    /// `--`.
    End,
    Plain(&'a str),
}

/// What is asked for, and where it stands: the word, and what of it stands before.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) text: &'a str,
    at: usize,
    /// What stands before it in its word: an option and its `=`.
    option: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(launcher: &str, command: &'a [String]) -> Self {
        Self { launcher: launcher.to_owned(), command, at: 1 }
    }

    pub(super) fn next(&mut self) -> Option<Word<'a>> {
        let word = self.command.get(self.at)?.as_str();
        self.at += 1;
        Some(match word.split_once('=') {
            _ if word == "--" => Word::End,
            Some((option, value)) if word.starts_with('-') => Word::Option(option, Some(value)),
            Some(_) | None if word.starts_with('-') => Word::Option(word, None),
            Some(_) | None => Word::Plain(word),
        })
    }

    /// The value of an option: after its `=`, or the next word.
    pub(super) fn value(
        &mut self,
        option: &'a str,
        given: Option<&'a str>,
    ) -> Result<Wanted<'a>, Unfit> {
        if let Some(text) = given {
            let word = self.command.get(self.at - 1).map_or("", String::as_str);
            let option = word.strip_suffix(text).unwrap_or(option);
            return Ok(Wanted { text, at: self.at - 1, option });
        }
        let text = self.command.get(self.at).ok_or_else(|| self.not_understood(option))?;
        self.at += 1;
        Ok(Wanted { text, at: self.at - 1, option: "" })
    }

    /// The word that was read last, as what is asked for.
    pub(super) fn last(&self, text: &'a str) -> Wanted<'a> {
        Wanted { text, at: self.at - 1, option: "" }
    }

    /// The word that was read last, and all after it.
    pub(super) fn last_and_rest(&self) -> Vec<String> {
        self.command.get(self.at.saturating_sub(1)..).unwrap_or_default().to_vec()
    }

    pub(super) fn rest(&self) -> Vec<String> {
        self.command.get(self.at..).unwrap_or_default().to_vec()
    }

    pub(super) fn not_understood(&self, what: &str) -> Unfit {
        Unfit::NotUnderstood { launcher: self.launcher.clone(), what: what.to_owned() }
    }

    pub(super) fn elsewhere(&self, written: &str) -> Unfit {
        Unfit::Elsewhere { launcher: self.launcher.clone(), written: written.to_owned() }
    }

    /// The refusal of what names no version; `before` is what stands before one.
    pub(super) fn unpinned(
        &self,
        (ecosystem, name): (Ecosystem, &str),
        wanted: Wanted<'_>,
        before: &str,
    ) -> Unfit {
        let (front, back) = self.command.split_at_checked(wanted.at).unwrap_or_default();
        Unfit::Unpinned(Box::new(Unpinned {
            launcher: self.launcher.clone(),
            ecosystem,
            name: name.to_owned(),
            wanted: wanted.text.to_owned(),
            line: (front.to_vec(), back.get(1..).unwrap_or_default().to_vec()),
            before: format!("{}{before}", wanted.option),
        }))
    }
}
