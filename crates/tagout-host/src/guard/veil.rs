//! A turn as it is shown while it comes, without the canary.
use tagout_llm::{Sink, StreamEvent, Usage};

use super::Instructions;
use crate::{Event, Ui};

/// Shows the pieces of a turn. The end of a piece that may be the beginning of the canary waits for
/// the next.
pub(crate) struct Veil<'a> {
    ui: &'a mut dyn Ui,
    instructions: &'a Instructions,
    held: Option<StreamEvent>,
    /// What the turn took, as far as its provider said so yet.
    used: Option<Usage>,
}

impl<'a> Veil<'a> {
    pub(crate) fn new(ui: &'a mut dyn Ui, instructions: &'a Instructions) -> Self {
        Self { ui, instructions, held: None, used: None }
    }

    /// What a turn took that does not come to its end, where that is known.
    pub(crate) const fn used(&self) -> Option<Usage> {
        self.used
    }

    /// Shows what still waits.
    pub(crate) fn finish(&mut self) {
        if let Some(piece) = self.held.take() {
            self.ui.event(&Event::Streamed { piece });
        }
    }

    fn show(&mut self, mut piece: StreamEvent) {
        if let StreamEvent::ToolCallDone { arguments_raw, .. } = &mut piece {
            *arguments_raw = self.instructions.masked(arguments_raw);
        }
        self.ui.event(&Event::Streamed { piece });
    }
}

impl Sink for Veil<'_> {
    fn event(&mut self, piece: StreamEvent) {
        if let StreamEvent::Usage { usage } = &piece {
            self.used = Some(*usage);
        }
        let mut piece = match self.held.take() {
            Some(held) => match joined(&held, &piece) {
                Some(both) => both,
                None => {
                    self.show(held);
                    piece
                }
            },
            None => piece,
        };
        let Some(text) = growing(&mut piece) else {
            self.show(piece);
            return;
        };
        let masked = self.instructions.masked(text);
        let at = masked.len() - beginning(&masked, self.instructions.canary());
        let (shown, waits) = masked.split_at(at);
        let waits = waits.to_owned();
        shown.clone_into(text);
        let empty = text.is_empty();
        let mut rest = piece.clone();
        if !empty {
            self.show(piece);
        }
        if !waits.is_empty()
            && let Some(text) = growing(&mut rest)
        {
            *text = waits;
            self.held = Some(rest);
        }
    }
}

/// The text of a piece that others follow.
fn growing(piece: &mut StreamEvent) -> Option<&mut String> {
    match piece {
        StreamEvent::TextDelta { text }
        | StreamEvent::ReasoningDelta { text }
        | StreamEvent::RefusalDelta { text }
        | StreamEvent::ToolArgsDelta { text, .. } => Some(text),
        StreamEvent::ToolCallStarted { .. }
        | StreamEvent::ToolCallDone { .. }
        | StreamEvent::Usage { .. }
        | StreamEvent::Stop { .. } => None,
    }
}

/// Two pieces of the same text as one.
fn joined(one: &StreamEvent, other: &StreamEvent) -> Option<StreamEvent> {
    let (mut one, mut other) = (one.clone(), other.clone());
    let start = std::mem::take(growing(&mut one)?);
    let end = std::mem::take(growing(&mut other)?);
    // What is left says whose text it was.
    if one != other {
        return None;
    }
    let text = growing(&mut one)?;
    *text = start + &end;
    Some(one)
}

/// How many bytes at the end of `text` may be the beginning of `token`.
fn beginning(text: &str, token: &str) -> usize {
    let end = |count: &usize| {
        let tail = text.len().checked_sub(*count).and_then(|at| text.get(at..));
        tail.zip(token.get(..*count)).is_some_and(|(tail, head)| tail.eq_ignore_ascii_case(head))
    };
    (1..token.len()).rev().find(end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(String, usize);

    impl Ui for Seen {
        fn event(&mut self, event: &Event) {
            if let Event::Streamed { piece } = event {
                self.1 += 1;
                if let Some(text) = growing(&mut piece.clone()) {
                    self.0.push_str(text);
                }
            }
        }
    }

    #[test]
    fn the_canary_is_not_shown_however_it_is_cut() {
        let instructions = Instructions::new(None, &[5; 32]);
        let canary = instructions.canary().to_uppercase();
        let text = format!("before {canary} and {} after", canary.get(..9).unwrap());
        for size in 1..text.len() {
            let mut seen = Seen::default();
            let mut veil = Veil::new(&mut seen, &instructions);
            for piece in text.as_bytes().chunks(size) {
                let text = String::from_utf8(piece.to_vec()).unwrap();
                veil.event(StreamEvent::TextDelta { text });
            }
            veil.event(StreamEvent::ReasoningDelta { text: "thought".into() });
            veil.finish();
            let shown = instructions.masked(&text) + "thought";
            assert_eq!(seen.0, shown, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_nothing_like_it_does_not_wait() {
        let instructions = Instructions::new(None, &[5; 32]);
        let mut seen = Seen::default();
        let mut veil = Veil::new(&mut seen, &instructions);
        veil.event(StreamEvent::TextDelta { text: "plain words, ".into() });
        assert_eq!(seen.1, 1);
    }
}
