//! Far too many calls of one principal, beside another who behaves: whether the limit holds, the
//! memory stays, the neighbour is served, and the record stays small.
//!
//! The gateway is the real program, over HTTP on loopback; what calls it is this process.
mod call;
mod flood;
mod neighbour;
mod stage;
mod verdict;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::root;
use flood::Flood;
use neighbour::Waits;
use stage::{Recorded, Stage};
use verdict::{Moment, Taken, Verdict};

/// Calls offered, a second.
const OFFERED: u32 = 10_000;
/// Calls that the flood's principal may make, a second.
const LIMIT: u32 = 100;
/// Of these, as many may come at once.
const BURST: u32 = 10;
/// Calls of the neighbour, a second.
const NEIGHBOUR: u32 = 20;
/// How often the gateway's memory is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the command line says.
pub(crate) struct Options {
    json: bool,
    seconds: u32,
    binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { json: false, seconds: 60, binary: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--json" => options.json = true,
                "--binary" => options.binary = words.next().map(PathBuf::from),
                "--seconds" => {
                    let said = words.next().and_then(|said| said.parse().ok());
                    let fits = said.filter(|seconds| (2..=600).contains(seconds));
                    options.seconds = fits.ok_or("`--seconds` takes 2 to 600")?;
                }
                word => return Err(format!("`{word}` is no option of this")),
            }
        }
        Ok(options)
    }
}

/// Runs it all, and says what came of it; an error where a goal is missed.
pub(crate) fn overload(options: &Options) -> Result<String, String> {
    let folder = root().join("target/overload");
    let stage = Stage::set(&folder, options.binary.as_deref())?;
    let seconds = Duration::from_secs(options.seconds.into());
    // Everything is started and known once before anything is measured.
    neighbour::calls(&stage, Duration::from_secs(2))?;
    let alone = neighbour::calls(&stage, seconds)?;
    let before = stage.recorded()?;
    let rested_kib = stage.resident_kib().ok_or("the gateway's memory cannot be read")?;
    let attack = attacked(&stage, seconds)?;
    // What was counted of the last second goes on record a moment later.
    thread::sleep(Duration::from_secs(2));
    let after = stage.recorded()?;
    stage.verified()?;
    let mut taken = taken(alone, attack, (before, after), seconds);
    taken.rested_kib = rested_kib;
    let verdict = Verdict::of(&taken);
    let said = if options.json { verdict.json(&taken) } else { verdict.text(&taken) };
    if verdict.holds() { Ok(said) } else { Err(said) }
}

/// What is seen while the flood goes on.
struct Attack {
    flood: flood::Came,
    neighbour: Waits,
    memory: Vec<Moment>,
    health: Waits,
}

fn attacked(stage: &Stage, seconds: Duration) -> Result<Attack, String> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let memory = scope.spawn(|| memory(stage, &over));
        let neighbour = scope.spawn(|| neighbour::calls(stage, seconds));
        let health = scope.spawn(|| neighbour::asks_for_health(stage, seconds));
        let flood = Flood::open(stage)?.run(seconds);
        let neighbour = neighbour.join().unwrap_or_else(|_| Err("the neighbour fell".into()));
        let health = health.join().unwrap_or_else(|_| Err("the probe fell".into()));
        over.store(true, Ordering::Release);
        let memory = memory.join().unwrap_or_default();
        Ok(Attack { flood: flood?, neighbour: neighbour?, memory, health: health? })
    })
}

/// The gateway's memory, once a second.
fn memory(stage: &Stage, over: &AtomicBool) -> Vec<Moment> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while !over.load(Ordering::Acquire) {
        if let Some(resident_kib) = stage.resident_kib() {
            seen.push(Moment { at_s: begun.elapsed().as_secs(), resident_kib });
        }
        thread::sleep(LOOK);
    }
    seen
}

fn taken(
    alone: Waits,
    attack: Attack,
    (before, after): (Recorded, Recorded),
    seconds: Duration,
) -> Taken {
    Taken {
        seconds: seconds.as_secs_f64(),
        flood: attack.flood,
        alone,
        beside: attack.neighbour,
        health: attack.health,
        memory: attack.memory,
        rested_kib: 0,
        records: after.lines.saturating_sub(before.lines),
        record_bytes: after.bytes.saturating_sub(before.bytes),
        counted: after.counted.saturating_sub(before.counted),
        notes: after.notes.saturating_sub(before.notes),
    }
}
