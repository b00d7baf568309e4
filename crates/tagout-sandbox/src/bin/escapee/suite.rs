//! Lets the program loose, round by round, and says what came of it.
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
};

use tagout_sandbox::{Jailer, Part, survey};

use crate::{
    attempt::{Attempt, Bare},
    attempts,
    layers::Layers,
    report::quoted,
    round::{Round, Verdict},
    services::Services,
    stage::Options,
    terminal::Terminal,
};

/// How many rounds run at once.
const AT_ONCE: usize = 4;

/// What all rounds share.
pub(crate) struct Suite {
    pub(crate) work: PathBuf,
    pub(crate) options: Options,
    pub(crate) services: Arc<Services>,
    pub(crate) terminal: Option<Arc<Terminal>>,
    /// What the program is told in every round.
    pub(crate) facts: Vec<String>,
    /// Whose servers are tried.
    pub(crate) role: &'static str,
}

/// What came of one attempt.
struct Tally {
    attempt: &'static Attempt,
    bare: Option<Round>,
    all: Round,
    alone: BTreeMap<Layers, Round>,
    /// Where none stops it alone: each without which the others do not stop it.
    together: Vec<Part>,
}

/// Runs the suite, prints a line for each attempt, and fails where one does not hold.
pub(crate) fn run(suite: &Suite) -> Result<(), String> {
    let missing = missing();
    println!("{{\"suite\": {}, \"missing\": {}}}", quoted(suite.role), list(&missing));
    let wanted =
        |attempt: &&Attempt| suite.options.only.as_deref().is_none_or(|only| attempt.name == only);
    let (last, first): (Vec<_>, Vec<_>) = attempts().filter(wanted).partition(|it| it.alone);
    if first.is_empty() && last.is_empty() {
        return Err(String::from("nothing of that name is tried"));
    }
    let rounds = Rounds { suite, missing: missing.join(","), number: AtomicU32::new(0) };
    if let Some(layers) = suite.options.layers {
        for attempt in first.into_iter().chain(last) {
            let Round { verdict, evidence } = rounds.round(attempt, layers)?;
            println!("{} with {layers}: {verdict}: {evidence}", attempt.name);
        }
        return Ok(());
    }
    let mut results = rounds.several(&first)?;
    for attempt in last {
        results.push(rounds.of(attempt)?);
    }
    let mut wrong = 0_u32;
    for attempt in attempts() {
        for result in results.iter().filter(|it| it.attempt.name == attempt.name) {
            println!("{}", result.line(suite.role));
            wrong = wrong.saturating_add(u32::from(result.problem(suite.role).is_some()));
        }
    }
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} of {} do not hold", results.len())) }
}

/// The parts that this machine lacks. They are accepted, and said.
fn missing() -> Vec<String> {
    let found = survey(&Jailer::this_program());
    let parts = found.map(|it| it.missing()).unwrap_or_default();
    parts.into_iter().map(|part| part.to_string()).collect()
}

fn list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", quoted.join(", "))
}

struct Rounds<'a> {
    suite: &'a Suite,
    missing: String,
    number: AtomicU32,
}

impl Rounds<'_> {
    /// Some at once, because most of a round is waiting.
    fn several(&self, attempts: &[&'static Attempt]) -> Result<Vec<Tally>, String> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(attempt) = attempts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = self.of(attempt);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }

    fn of(&self, attempt: &'static Attempt) -> Result<Tally, String> {
        let all = self.round(attempt, Layers::All)?;
        if self.suite.options.short {
            return Ok(Tally {
                attempt,
                bare: None,
                all,
                alone: BTreeMap::new(),
                together: Vec::new(),
            });
        }
        let bare = self.round(attempt, Layers::None)?;
        let mut alone = BTreeMap::new();
        if bare.verdict == Verdict::Succeeded && attempt.bare != Bare::Always {
            for layer in Layers::single() {
                alone.insert(layer, self.round(attempt, layer)?);
            }
        }
        let mut together = Vec::new();
        if !alone.is_empty() && alone.values().all(|round| round.verdict != Verdict::Stopped) {
            for part in Part::ALL {
                let round = self.round(attempt, Layers::Without(part))?;
                together.extend((round.verdict == Verdict::Succeeded).then_some(part));
            }
        }
        Ok(Tally { attempt, bare: Some(bare), all, alone, together })
    }

    fn round(&self, attempt: &Attempt, layers: Layers) -> Result<Round, String> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let facts = [format!("missing={}", self.missing)];
        Round::run(self.suite, attempt, layers, number, &facts)
            .map_err(|why| format!("{} with {layers}: {why}", attempt.name))
    }
}

impl Tally {
    /// Why a success with nothing in its way cannot be asked for.
    fn excuse(&self, role: &str) -> Option<&'static str> {
        match self.attempt.bare {
            Bare::Root if role != "root" => Some("only root can"),
            Bare::RootIfThere(_) if role != "root" => Some("only root can"),
            Bare::IfThere(why) | Bare::RootIfThere(why) => Some(why),
            Bare::Root | Bare::Succeeds | Bare::Always => None,
        }
    }

    /// What does not hold.
    fn problem(&self, role: &str) -> Option<String> {
        let wanted =
            if self.attempt.bare == Bare::Always { Verdict::Succeeded } else { Verdict::Stopped };
        if self.all.verdict != wanted {
            return Some(format!("with all layers it {}: {}", self.all.verdict, self.all.evidence));
        }
        let bare = self.bare.as_ref()?;
        let fine = bare.verdict == Verdict::Succeeded || self.excuse(role).is_some();
        (!fine).then(|| format!("with no layer it {}: {}", bare.verdict, bare.evidence))
    }

    fn line(&self, role: &str) -> String {
        let attempt = self.attempt;
        let mut parts = vec![
            format!("\"attempt\": {}", quoted(attempt.name)),
            format!("\"about\": {}", quoted(attempt.about)),
            format!("\"as\": {}", quoted(role)),
        ];
        if let Some(bare) = &self.bare {
            let excused = bare.verdict != Verdict::Succeeded;
            let excuse = self.excuse(role).filter(|_| excused);
            let verdict = excuse.map_or_else(|| bare.verdict.to_string(), |_| String::from("n/a"));
            parts.push(format!("\"bare\": {}", quoted(&verdict)));
            parts.push(format!("\"bare_evidence\": {}", quoted(&bare.evidence)));
            parts.extend(excuse.map(|why| format!("\"excuse\": {}", quoted(why))));
        }
        parts.push(format!("\"all\": {}", quoted(&self.all.verdict.to_string())));
        parts.push(format!("\"all_evidence\": {}", quoted(&self.all.evidence)));
        let alone = self.alone.iter().map(|(layer, round)| {
            format!("{}: {}", quoted(&layer.to_string()), quoted(&round.verdict.to_string()))
        });
        parts.push(format!("\"alone\": {{{}}}", alone.collect::<Vec<_>>().join(", ")));
        let together: Vec<String> = self.together.iter().map(ToString::to_string).collect();
        parts.push(format!("\"together\": {}", list(&together)));
        parts.extend(self.problem(role).map(|why| format!("\"problem\": {}", quoted(&why))));
        format!("{{{}}}", parts.join(", "))
    }
}
