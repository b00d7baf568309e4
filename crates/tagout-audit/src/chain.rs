//! The order of the lines: what follows what, and what that says where it does not.
//!
//! Only a line whose own hash is right can be trusted to say which number it has. One whose hash
//! is wrong stands for the number at its place.
use std::collections::BTreeMap;

use tagout_proto::Digest;

use crate::{Line, Problem, ProblemKind, record::Span, tail::admits_loss};

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u64,
}

/// A line that was followed: its number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    n: u64,
    hash: Digest,
}

/// The line that was followed last.
#[derive(Clone, Debug)]
struct Last {
    link: Link,
    place: Place,
    /// The line before it.
    before: Option<Link>,
    /// What was thought of it, if it did not fit.
    misfit: Option<Misfit>,
    /// Another line with the same number that fits as well.
    rival: Option<Rival>,
}

#[derive(Clone, Debug)]
enum Misfit {
    /// It left a gap, at this index.
    Gap(usize),
    /// It was found unlinked; the index of the problem.
    Unlinked(usize),
}

#[derive(Clone, Debug)]
struct Rival {
    hash: Digest,
    /// The index of the problem that says so.
    problem: usize,
}

/// Follows the lines of a log.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    last: Option<Last>,
    /// Lines since then whose own hash is wrong or that are no lines at all.
    bad: Vec<Place>,
    /// How many of those were not kept.
    bad_left_out: u64,
    /// Numbers that did not come.
    gaps: Vec<Option<(Span, Place)>>,
    /// Lines that stand where they do not belong: their number, and the index of the problem.
    strays: BTreeMap<u64, usize>,
    problems: Vec<Problem>,
    left_out: u64,
}

/// Whether a line belongs where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It is the next one, or the best that there is.
    Yes,
    /// It does not belong here and says nothing.
    No,
}

/// The most problems, gaps and bad lines that are kept.
const MOST: usize = 1000;

impl Chain {
    /// The last number, counting bad lines.
    pub(crate) fn last(&self) -> Option<u64> {
        let bad = self.bad.len() as u64 + self.bad_left_out;
        match &self.last {
            Some(last) => Some(last.link.n + bad),
            None => bad.checked_sub(1),
        }
    }

    /// Takes note of a line whose own hash is wrong or that is no line.
    pub(crate) fn bad_line(&mut self, place: Place) {
        if self.bad.len() < MOST {
            self.bad.push(place);
        } else {
            self.bad_left_out += 1;
        }
    }

    /// Takes note of a line whose own hash is right.
    pub(crate) fn line(&mut self, line: &Line, place: Place) -> Followed {
        let link = Link { n: line.n, hash: line.hash };
        if !self.bad.is_empty() {
            return self.after_bad(line, link, place);
        }
        let Some(last) = self.last.clone() else {
            let misfit = self.first(line, &place);
            return self.follow(link, place, misfit);
        };
        if fits(last.link, line) {
            self.note_loss(line, &place);
            return self.follow(link, place, None);
        }
        if let (Some(misfit), Some(before)) = (&last.misfit, last.before)
            && (fits(before, line) || fills(misfit, before, &last, line))
        {
            self.reject(&last, misfit);
            let place_before = last.place;
            self.last = Some(Last {
                link: before,
                place: place_before,
                before: None,
                misfit: None,
                rival: None,
            });
            return self.line(line, place);
        }
        if let Some(rival) = last.rival.as_ref()
            && line.n == last.link.n + 1
            && line.prev == rival.hash
        {
            self.move_problem(rival.problem, &last.place);
            return self.follow(link, place, None);
        }
        if line.n == last.link.n + 1 {
            let detail = format!(
                "it does not follow the line before it: one of both was replaced, or line {} and all hashes up to there were computed anew",
                last.link.n
            );
            let index = self.problem(ProblemKind::Unlinked, Some(line.n), &place, detail);
            return self.follow(link, place, index.map(Misfit::Unlinked));
        }
        if line.n > last.link.n {
            let misfit = self.gap(last.link.n + 1, line.n - 1, &place);
            return self.follow(link, place, misfit);
        }
        self.stray(line, &last, &place)
    }

    /// What the first line of all should be is judged elsewhere; here only its number counts.
    fn first(&mut self, line: &Line, place: &Place) -> Option<Misfit> {
        let before = line.n.checked_sub(1)?;
        self.gap(0, before, place)
    }

    /// A good line after bad ones shows whether they were added or changed.
    fn after_bad(&mut self, line: &Line, link: Link, place: Place) -> Followed {
        let bad = std::mem::take(&mut self.bad);
        let count = bad.len() as u64 + std::mem::take(&mut self.bad_left_out);
        let expected = self.last.as_ref().map_or(0, |last| last.link.n + 1);
        if self.last.as_ref().is_some_and(|last| fits(last.link, line)) {
            for at in bad {
                let detail = "it is no line of this log: the lines around it follow one another";
                self.problem(ProblemKind::Inserted, None, &at, detail.to_owned());
            }
            self.note_loss(line, &place);
            return self.follow(link, place, None);
        }
        self.changed(bad, expected, line.n);
        if line.n < expected {
            let last = self.last.clone();
            return match last {
                Some(last) => self.stray(line, &last, &place),
                None => self.follow(link, place, None),
            };
        }
        let misfit = if expected + count < line.n {
            self.gap(expected + count, line.n - 1, &place)
        } else {
            None
        };
        self.follow(link, place, misfit)
    }

    fn changed(&mut self, bad: Vec<Place>, expected: u64, next: u64) {
        for (at, n) in bad.into_iter().zip(expected..) {
            let n = Some(n).filter(|&n| n < next);
            let detail = "its content does not have the hash that it states".to_owned();
            self.problem(ProblemKind::Changed, n, &at, detail);
        }
    }

    fn follow(&mut self, link: Link, place: Place, misfit: Option<Misfit>) -> Followed {
        let before = self.last.as_ref().map(|last| last.link);
        self.last = Some(Last { link, place, before, misfit, rival: None });
        Followed::Yes
    }

    /// The line that was followed last does not belong there after all.
    fn reject(&mut self, last: &Last, misfit: &Misfit) {
        let detail = "the lines around it follow one another without it".to_owned();
        let index = match *misfit {
            Misfit::Gap(gap) => {
                if let Some(gap) = self.gaps.get_mut(gap) {
                    *gap = None;
                }
                self.problem(ProblemKind::Inserted, Some(last.link.n), &last.place, detail)
            }
            Misfit::Unlinked(index) => {
                if let Some(problem) = self.problems.get_mut(index) {
                    problem.kind = ProblemKind::Inserted;
                    problem.detail = detail;
                }
                Some(index)
            }
        };
        self.strays.extend(index.map(|index| (last.link.n, index)));
    }

    fn stray(&mut self, line: &Line, last: &Last, place: &Place) -> Followed {
        let detail = "it has the number of another line, or one that was passed".to_owned();
        let index = self.problem(ProblemKind::Inserted, Some(line.n), place, detail);
        if let Some(problem) = index {
            self.strays.insert(line.n, problem);
            let fits_too = last.before.is_some_and(|before| fits(before, line));
            if let (true, Some(last)) = (fits_too && line.n == last.link.n, &mut self.last) {
                last.rival = Some(Rival { hash: line.hash, problem });
            }
        }
        Followed::No
    }

    fn note_loss(&mut self, line: &Line, place: &Place) {
        if let crate::record::Event::Lost(span) = line.event {
            let detail = format!(
                "lines {span} were gone when the next writer came, as line {} says: a power failure before they were on disk, or a cut",
                line.n
            );
            self.problem(ProblemKind::Lost, Some(span.from), place, detail);
        }
    }

    fn gap(&mut self, from: u64, to: u64, place: &Place) -> Option<Misfit> {
        if self.gaps.len() >= MOST {
            self.left_out += 1;
            return None;
        }
        self.gaps.push(Some((Span { from, to }, place.clone())));
        Some(Misfit::Gap(self.gaps.len() - 1))
    }

    fn move_problem(&mut self, index: usize, place: &Place) {
        if let Some(problem) = self.problems.get_mut(index) {
            problem.file.clone_from(&place.file);
            problem.line = Some(place.line);
        }
    }

    fn problem(
        &mut self,
        kind: ProblemKind,
        n: Option<u64>,
        place: &Place,
        detail: String,
    ) -> Option<usize> {
        if self.problems.len() >= MOST {
            self.left_out += 1;
            return None;
        }
        let (file, line) = (place.file.clone(), Some(place.line));
        self.problems.push(Problem { kind, n, file, line, detail });
        Some(self.problems.len() - 1)
    }

    /// What is wrong with the order, and how many problems are left out.
    pub(crate) fn finish(mut self) -> (Vec<Problem>, u64) {
        let expected = self.last.as_ref().map_or(0, |last| last.link.n + 1);
        let bad = std::mem::take(&mut self.bad);
        self.left_out += self.bad_left_out;
        self.changed(bad, expected, u64::MAX);
        for gap in std::mem::take(&mut self.gaps).into_iter().flatten() {
            self.close(gap);
        }
        (self.problems, self.left_out)
    }

    /// A number that did not come where it belongs and stands elsewhere was moved; the rest of a
    /// gap was removed.
    fn close(&mut self, (Span { from, to }, place): (Span, Place)) {
        let moved: Vec<(u64, usize)> =
            self.strays.range(from..=to).map(|(&n, &index)| (n, index)).collect();
        let mut start = from;
        for (n, index) in moved {
            if let Some(problem) = self.problems.get_mut(index) {
                problem.kind = ProblemKind::Reordered;
                problem.detail = "it stands in another place than it was written".to_owned();
            }
            if start < n {
                self.removed(Span { from: start, to: n - 1 }, &place);
            }
            start = n + 1;
        }
        if start <= to {
            self.removed(Span { from: start, to }, &place);
        }
    }

    fn removed(&mut self, span: Span, place: &Place) {
        let detail = format!("{span} should stand before this line and does not");
        self.problem(ProblemKind::Removed, Some(span.from), place, detail);
    }
}

fn fits(last: Link, line: &Line) -> bool {
    line.prev == last.hash && (line.n == last.n + 1 || admits_loss(line, last.n))
}

/// Whether `line` lies in the gap that the line followed last has left: then it is that one which
/// stands too early.
const fn fills(misfit: &Misfit, before: Link, last: &Last, line: &Line) -> bool {
    match misfit {
        Misfit::Gap(_) => before.n < line.n && line.n < last.link.n,
        Misfit::Unlinked(_) => false,
    }
}
