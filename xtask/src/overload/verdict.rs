//! What was measured, held against what is wanted.
use serde_json::json;

use super::{BURST, LIMIT, OFFERED, flood::Came, neighbour::Waits};

/// The gateway's memory at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at_s: u64,
    pub(super) resident_kib: u64,
}

/// What was measured.
pub(super) struct Taken {
    pub(super) seconds: f64,
    pub(super) flood: Came,
    /// The neighbour without the flood, and beside it.
    pub(super) alone: Waits,
    pub(super) beside: Waits,
    pub(super) health: Waits,
    pub(super) memory: Vec<Moment>,
    /// The gateway's memory after the neighbour alone, before the flood.
    pub(super) rested_kib: u64,
    /// Lines of the audit log meanwhile, and its growth.
    pub(super) records: u64,
    pub(super) record_bytes: u64,
    /// Refusals that notes of the log count, and the notes.
    pub(super) counted: u64,
    pub(super) notes: u64,
}

/// Each goal, what was measured, and whether it holds.
pub(super) struct Verdict(Vec<(&'static str, String, bool)>);

/// What the limit may be off by.
const TOLERANCE: f64 = 0.01;
/// As many times longer may the neighbour wait.
const SLOWER: f64 = 2.0;
/// Growth that is none, in KiB: what caches and allocators take to settle.
const FLAT_KIB: u64 = 8 << 10;
/// What connections of a flood and their buffers may take beyond what there was before, in KiB.
const FLOOD_KIB: u64 = 64 << 10;
/// Lines that one call puts on record at most.
const LINES: f64 = 4.0;

impl Verdict {
    pub(super) fn of(taken: &Taken) -> Self {
        let Taken { seconds, flood, .. } = taken;
        let mut goals = Vec::new();
        let count = |n: u64| u32::try_from(n).map_or(f64::INFINITY, f64::from);
        let offered = count(flood.sent) / seconds;
        let wanted = f64::from(OFFERED);
        goals.push(("offered", format!("{offered:.0} a second"), offered > wanted * 0.95));
        let lasted = seconds.max(flood.lasted_s);
        let limit = f64::from(LIMIT) * lasted;
        let accepted = count(flood.accepted);
        let (least, most) = (limit * (1.0 - TOLERANCE), limit * (1.0 + TOLERANCE));
        // Once, as many more as may come at once.
        let holds = accepted >= least && accepted <= most + f64::from(BURST);
        let rate = accepted / lasted;
        goals.push(("accepted", format!("{rate:.2} a second, of {LIMIT}"), holds));
        let (first, last) = grown(&taken.memory);
        let rested = taken.rested_kib;
        let flat = !taken.memory.is_empty() && last <= first + FLAT_KIB;
        let flat = flat && first.max(last) <= rested + FLOOD_KIB;
        let [before, begins, ends] = [rested, first, last].map(|kib| kib >> 10);
        let said = format!("{before} MiB before, {begins} MiB, then {ends} MiB");
        goals.push(("memory", said, flat));
        let (alone, beside) = (taken.alone.percentile(99), taken.beside.percentile(99));
        let slower = beside / alone;
        let said = format!("p99 {alone:.2} ms alone, {beside:.2} ms beside it ({slower:.2} times)");
        let failed = taken.alone.failed + taken.beside.failed;
        goals.push(("neighbour", said, slower <= SLOWER && failed == 0));
        goals.push(("neighbour's failures", failed.to_string(), failed == 0));
        let calls = accepted + count(u64::try_from(taken.beside.micros.len()).unwrap_or(u64::MAX));
        let records = count(taken.records);
        let few = records <= calls * LINES + seconds * 4.0 + 32.0;
        let rate = records / seconds;
        goals.push(("records", format!("{rate:.0} a second, {} bytes", taken.record_bytes), few));
        let refused = flood.answers.get(&429).copied().unwrap_or_default();
        let said =
            format!("{refused} refused, {} on record in {} notes", taken.counted, taken.notes);
        goals.push(("counted", said, refused == taken.counted));
        let health = taken.health.percentile(99);
        let said = format!("p99 {health:.2} ms, {} unanswered", taken.health.failed);
        goals.push(("health", said, taken.health.failed == 0));
        Self(goals)
    }

    pub(super) fn holds(&self) -> bool {
        self.0.iter().all(|(_, _, holds)| *holds)
    }

    pub(super) fn text(&self, taken: &Taken) -> String {
        let mut text =
            format!("{:.0} seconds; answers: {:?}\n", taken.seconds, taken.flood.answers);
        for (goal, said, holds) in &self.0 {
            let mark = if *holds { "holds " } else { "MISSED" };
            text.push_str(&format!("{mark}  {goal}: {said}\n"));
        }
        text
    }

    pub(super) fn json(&self, taken: &Taken) -> String {
        let goals: Vec<_> = self
            .0
            .iter()
            .map(|(goal, said, holds)| json!({"goal": goal, "measured": said, "holds": holds}))
            .collect();
        let memory: Vec<_> =
            taken.memory.iter().map(|one| json!([one.at_s, one.resident_kib])).collect();
        let waits = |waits: &Waits| {
            let at = |percent| waits.percentile(percent);
            json!({
                "calls": waits.micros.len(), "failed": waits.failed,
                "p50_ms": at(50), "p90_ms": at(90), "p99_ms": at(99), "max_ms": at(100),
            })
        };
        let Came { sent, unsent, accepted, answers, reopened, lasted_s } = &taken.flood;
        let answers: serde_json::Map<_, _> =
            answers.iter().map(|(status, n)| (status.to_string(), json!(n))).collect();
        json!({
            "holds": self.holds(),
            "seconds": taken.seconds,
            "goals": goals,
            "flood": {
                "sent": sent, "unsent": unsent, "accepted": accepted,
                "answers": answers, "reopened": reopened, "lasted_s": lasted_s,
            },
            "alone": waits(&taken.alone),
            "beside": waits(&taken.beside),
            "health": waits(&taken.health),
            "memory_kib": memory, "rested_kib": taken.rested_kib,
            "records": taken.records, "record_bytes": taken.record_bytes,
            "counted": taken.counted, "notes": taken.notes,
        })
        .to_string()
    }
}

/// The most memory in the first quarter after a settling time, and in the last.
fn grown(memory: &[Moment]) -> (u64, u64) {
    let quarter = memory.len().div_ceil(4).max(1);
    let most = |part: &[Moment]| part.iter().map(|one| one.resident_kib).max().unwrap_or_default();
    let (first, last) = memory.split_at(quarter.min(memory.len()));
    let last = last.get(last.len().saturating_sub(quarter)..).unwrap_or_default();
    (most(first), if last.is_empty() { most(first) } else { most(last) })
}
