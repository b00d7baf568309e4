//! Which record names which as what led to it, within one conversation.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Part, Whose};
use crate::{Line, record::Event};

/// The most records of one conversation that are held at a time.
const NODES: usize = 100_000;

/// What a record names.
#[derive(Debug, Default)]
struct Node {
    cause: Option<u64>,
    /// The identifier that a call has in the record that it names.
    call: Option<String>,
    /// The records whose results it brings back.
    results: Vec<u64>,
}

/// The records of one conversation that name others, or are named.
#[derive(Debug)]
pub(super) struct Links {
    asked: u64,
    whose: Whose,
    nodes: BTreeMap<u64, Node>,
    /// Who names a record.
    named_in: BTreeMap<u64, Vec<u64>>,
    pub(super) left_out: u64,
}

impl Links {
    pub(super) fn new(asked: u64, whose: Whose) -> Self {
        let (nodes, named_in) = (BTreeMap::new(), BTreeMap::new());
        Self { asked, whose, nodes, named_in, left_out: 0 }
    }

    /// Takes in a line, if it is of this conversation and names another.
    pub(super) fn take_in(&mut self, line: Line) {
        if Whose::of(&line.event).as_ref() != Some(&self.whose) {
            return;
        }
        let node = match line.event {
            Event::Begin(begun) => {
                let (cause, call) = match begun.cause {
                    Some(cause) => (Some(cause.record), Some(cause.call)),
                    None if line.n == self.asked => (None, None),
                    None => return,
                };
                Node { cause, call, results: Vec::new() }
            }
            Event::Said(said) => {
                let results = said.results.iter().filter_map(|result| result.record).collect();
                Node { cause: said.cause, call: None, results }
            }
            Event::Genesis(_)
            | Event::Decision(_)
            | Event::End(_)
            | Event::Note(_)
            | Event::Torn(_)
            | Event::Adopted(_)
            | Event::Lost(_)
            | Event::Erased(_)
            | Event::Rotated {} => return,
        };
        if self.nodes.len() >= NODES && line.n != self.asked {
            self.left_out += 1;
            return;
        }
        let named: BTreeSet<u64> = node.cause.iter().chain(&node.results).copied().collect();
        for named in named {
            self.named_in.entry(named).or_default().push(line.n);
        }
        self.nodes.insert(line.n, node);
    }

    /// What belongs to the story of record `n`, at most `most` records; and how many more there
    /// are at least. No record is looked at twice, so that numbers in a circle end.
    pub(super) fn story(&self, n: u64, most: usize) -> (BTreeMap<u64, Part>, u64) {
        let mut parts = BTreeMap::from([(n, Part::Asked)]);
        let mut left_out = 0;
        let fits = |n: u64, other: u64| !(self.is_call(n) && self.is_call(other));
        let fitting = |n: u64, mut others: Vec<u64>| {
            others.retain(|other| fits(n, *other));
            others
        };
        let led = |n: u64| fitting(n, self.named(n));
        let came = |n: u64| fitting(n, self.named_in.get(&n).cloned().unwrap_or_default());
        left_out += spread(&mut parts, (n, most), Part::LedTo, led);
        left_out += spread(&mut parts, (n, most), Part::CameOf, came);
        (parts, left_out)
    }

    /// No call comes of another without a model in between.
    fn is_call(&self, n: u64) -> bool {
        self.nodes.get(&n).is_some_and(|node| node.call.is_some())
    }

    /// What record `n` names.
    fn named(&self, n: u64) -> Vec<u64> {
        let Some(node) = self.nodes.get(&n) else { return Vec::new() };
        node.cause.iter().chain(&node.results).copied().collect()
    }

    /// `numbers`, and what they name.
    pub(super) fn named_by<'a>(&self, numbers: impl Iterator<Item = &'a u64>) -> BTreeSet<u64> {
        numbers.flat_map(|n| [*n].into_iter().chain(self.named(*n))).collect()
    }

    /// Another call that says it is the one that `n` says it is.
    pub(super) fn twin(&self, n: u64) -> Option<u64> {
        let node = self.nodes.get(&n)?;
        let (cause, call) = (node.cause?, node.call.as_ref()?);
        let others = self.named_in.get(&cause)?.iter().filter(|other| **other != n);
        let same = |other: &&u64| {
            self.nodes.get(other).is_some_and(|other| other.call.as_ref() == Some(call))
        };
        others.copied().find(|other| same(&other))
    }
}

/// Adds to `parts`, as `part`, all that `next` leads to from `n`; gives how many found no room.
fn spread(
    parts: &mut BTreeMap<u64, Part>,
    (n, most): (u64, usize),
    part: Part,
    next: impl Fn(u64) -> Vec<u64>,
) -> u64 {
    let mut left_out = 0;
    let mut waiting = VecDeque::from([n]);
    while let Some(n) = waiting.pop_front() {
        for other in next(n) {
            if parts.contains_key(&other) {
                continue;
            }
            if parts.len() >= most {
                left_out += 1;
                continue;
            }
            parts.insert(other, part);
            waiting.push_back(other);
        }
    }
    left_out
}
