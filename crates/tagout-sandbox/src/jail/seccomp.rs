//! The filter of system calls: an allow-list for ordinary programs.
//!
//! Four answers: *allowed*; *refused* with an error, where what is asked for leads out; *unknown*,
//! as by an older kernel, for everything that is not named; and the end of the process for calls of
//! another architecture, whose numbers mean other things.
mod arguments;
mod assemble;
mod interpret;
mod policy;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use self::{
    arguments::Test,
    assemble::{Ask, Assembler, Label},
    interpret::interpret,
    policy::{ABSENT, ALLOWED, DANGEROUS, Named, Outcome, RULED, Rule},
};
pub(crate) use self::{assemble::Instruction, interpret::Call};

/// How a filter is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterOptions {
    /// Whether calls that are about files and connections, and those that are refused, wait for
    /// the word of whoever watches. Everything else is as without.
    pub(crate) watched: bool,
}

/// This architecture in the kernel's audit records.
#[cfg(target_arch = "x86_64")]
pub(crate) const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(crate) const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the filter of system calls knows x86_64 and aarch64 only");
#[cfg(not(target_endian = "little"))]
compile_error!("the filter of system calls takes arguments apart as little-endian machines do");

/// From here on x86_64 has the numbers of its 32-bit form; other architectures have none.
const OTHER_FORM: u32 = 0x4000_0000;

/// What a number that is not a call's is by the kernel's own convention.
const NO_CALL: u32 = u32::MAX;

/// Where the number and the architecture of a call are laid before the filter.
const NUMBER: u32 = 0;
const ARCHITECTURE_OF_CALL: u32 = 4;

/// What is done about all calls from one number to the next segment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaf {
    Kill,
    Rule(Rule),
    /// The same, where what is allowed is to be told as well.
    Told(Rule),
}

const UNKNOWN: Leaf = Leaf::Rule(Rule::Always(Outcome::Refuse(libc::ENOSYS)));

/// The filter as a program for the kernel.
pub(crate) fn program(options: &FilterOptions) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let tree = search(&mut assembler, &segments(options), options);
    let start = assembler.load(NUMBER, tree);
    let kill = assembler.answer(libc::SECCOMP_RET_KILL_PROCESS);
    let start = assembler.test(Ask::Equal, ARCHITECTURE, start, kill);
    assembler.load(ARCHITECTURE_OF_CALL, start);
    assembler.finish()
}

/// Puts this process, and what it becomes and starts, under the filter for good. It has one thread,
/// and has given up new privileges before.
///
/// # Errors
/// The kernel has no filters, or refuses this one.
pub(super) fn install(program: &[Instruction]) -> io::Result<()> {
    crate::danger::seccomp::install(program)
}

/// Every number, each segment up to the next one's first; the first segment begins at 0.
fn segments(options: &FilterOptions) -> Vec<(u32, Leaf)> {
    let told = if options.watched { told() } else { BTreeSet::new() };
    let mut leaves = BTreeMap::from([(0, UNKNOWN)]);
    for (number, rule) in rules() {
        let is_told = told.contains(&number);
        leaves.insert(number, if is_told { Leaf::Told(rule) } else { Leaf::Rule(rule) });
        leaves.entry(number + 1).or_insert(UNKNOWN);
    }
    if cfg!(target_arch = "x86_64") {
        leaves.insert(OTHER_FORM, Leaf::Kill);
        leaves.insert(NO_CALL, UNKNOWN);
    }
    let mut segments: Vec<(u32, Leaf)> = leaves.into_iter().collect();
    segments.dedup_by_key(|(_, leaf)| *leaf);
    segments
}

/// What the tables say, by number.
fn rules() -> BTreeMap<u32, Rule> {
    let allowed =
        ALLOWED.iter().copied().flatten().map(|call| (call, Rule::Always(Outcome::Allow)));
    let refused = Rule::Always(Outcome::Refuse(libc::EPERM));
    let refused = DANGEROUS.iter().copied().flatten().map(|call| (call, refused));
    let ruled = RULED.iter().copied().flatten().map(|(call, rule)| (call, *rule));
    allowed.chain(refused).chain(ruled).map(|(call, rule)| (call.number(), rule)).collect()
}

/// All calls, by the tables' order.
fn calls() -> impl Iterator<Item = &'static Named> {
    let ruled = RULED.iter().copied().flatten().map(|(call, _)| call);
    let others = ALLOWED.iter().chain(DANGEROUS).copied().flatten();
    others.chain(ABSENT).chain(ruled)
}

/// The numbers of the calls that whoever watches is told of.
fn told() -> BTreeSet<u32> {
    let told = calls().filter(|call| crate::observe::WATCHED.contains(&call.name()));
    told.map(Named::number).collect()
}

/// The name of a call, as manuals have it.
pub(crate) fn name_of(number: u32) -> String {
    let call = calls().find(|call| call.number() == number);
    call.map_or_else(|| format!("call {number}"), |call| call.name().to_owned())
}

/// What a filter says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Refused(i32),
    Killed,
}

/// What a filter that nobody watches says of a call.
pub(crate) fn verdict(program: &[Instruction], call: &Call) -> Verdict {
    match interpret(program, call) {
        Some(libc::SECCOMP_RET_ALLOW) => Verdict::Allowed,
        Some(answer) if answer & libc::SECCOMP_RET_ACTION_FULL == libc::SECCOMP_RET_ERRNO => {
            Verdict::Refused((answer & libc::SECCOMP_RET_DATA).cast_signed())
        }
        Some(_) | None => Verdict::Killed,
    }
}

/// Finds the call's number, which is in the accumulator, among the segments, by halves.
fn search(assembler: &mut Assembler, segments: &[(u32, Leaf)], options: &FilterOptions) -> Label {
    let (lower, upper) = segments.split_at(segments.len() / 2);
    match (lower, upper) {
        ([], [(_, leaf)]) => follow(assembler, *leaf, options),
        ([], _) => follow(assembler, UNKNOWN, options),
        (_, [(first, _), ..]) => {
            let above = search(assembler, upper, options);
            let below = search(assembler, lower, options);
            assembler.test(Ask::AtLeast, *first, above, below)
        }
        (_, []) => search(assembler, lower, options),
    }
}

fn follow(assembler: &mut Assembler, leaf: Leaf, options: &FilterOptions) -> Label {
    let (rule, told) = match leaf {
        Leaf::Kill => return assembler.answer(libc::SECCOMP_RET_KILL_PROCESS),
        Leaf::Rule(rule) => (rule, false),
        Leaf::Told(rule) => (rule, true),
    };
    let answer = |outcome: Outcome| {
        let is_told = told || options.watched && outcome != Outcome::Allow;
        if is_told { libc::SECCOMP_RET_USER_NOTIF } else { action(outcome) }
    };
    match rule {
        Rule::Always(outcome) => assembler.answer(answer(outcome)),
        Rule::By(arms, otherwise) => {
            let mut next = assembler.answer(answer(otherwise));
            for arm in arms.iter().rev() {
                let yes = assembler.answer(answer(arm.1));
                // The tests of an arm in their order: the last to be put is the first to be made.
                next =
                    arm.0.iter().rev().fold(yes, |yes, test| put_test(assembler, test, yes, next));
            }
            next
        }
    }
}

fn put_test(assembler: &mut Assembler, test: &Test, yes: Label, no: Label) -> Label {
    let values = test.among.iter().rev();
    let start = values.fold(no, |next, value| assembler.test(Ask::Equal, *value, yes, next));
    let start = if test.mask == u32::MAX { start } else { assembler.keep(test.mask, start) };
    assembler.load(test.word.offset(), start)
}

const fn action(outcome: Outcome) -> u32 {
    match outcome {
        Outcome::Allow => libc::SECCOMP_RET_ALLOW,
        Outcome::Refuse(error) => libc::SECCOMP_RET_ERRNO | error.cast_unsigned(),
    }
}
