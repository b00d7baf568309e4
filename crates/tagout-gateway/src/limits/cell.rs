//! What one principal, client, server or tool has left of its share.
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    bucket::{Bucket, nanos},
    over::Measure,
};
use crate::config::Bounds;

/// What one of them has left.
#[derive(Debug)]
pub(super) struct Cell {
    start: Instant,
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    under_way: u32,
    calls: Option<Bucket>,
    bytes_in: Option<Bucket>,
    bytes_out: Option<Bucket>,
    cost: Option<Bucket>,
    audit: Option<Bucket>,
}

/// What a call takes as it comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    pub(super) calls: u64,
    pub(super) places: u32,
    pub(super) bytes_in: u64,
    pub(super) cost: u64,
}

/// What there is too little of, how much there is in all, and how long it lasts.
#[derive(Debug)]
pub(super) struct Short {
    pub(super) measure: Measure,
    pub(super) bound: String,
    pub(super) wait: Option<Duration>,
}

impl Cell {
    pub(super) fn new(start: Instant, bounds: Bounds, audit: Option<Bucket>) -> Arc<Self> {
        let state = State {
            under_way: 0,
            calls: bounds.calls.map(Bucket::new),
            bytes_in: bounds.bytes_in.map(Bucket::new),
            bytes_out: bounds.bytes_out.map(Bucket::new),
            cost: bounds.cost.map(Bucket::new),
            audit,
        };
        Arc::new(Self { start, bounds, state: Mutex::new(state) })
    }

    /// Held for a few comparisons only.
    fn state(&self) -> MutexGuard<'_, State> {
        // The guarded sections do not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn wall(&self) -> Option<Duration> {
        self.bounds.wall
    }

    /// Takes all of `demand`, or nothing.
    pub(super) fn take(&self, demand: Demand, now: Instant) -> Result<(), Short> {
        let now = nanos(self.start, now);
        let mut state = self.state();
        if let Some(short) = state.short(demand, &self.bounds, now) {
            return Err(short);
        }
        state.under_way = state.under_way.saturating_add(demand.places);
        let State { calls, bytes_in, cost, .. } = &mut *state;
        for (bucket, n) in [(calls, demand.calls), (bytes_in, demand.bytes_in), (cost, demand.cost)]
        {
            if let Some(bucket) = bucket {
                bucket.take(n, now);
            }
        }
        Ok(())
    }

    /// Counts calls and bytes that came anyhow: what is too much is owed.
    pub(super) fn owe(&self, demand: Demand, now: Instant) {
        let now = nanos(self.start, now);
        let State { calls, bytes_in, .. } = &mut *self.state();
        for (bucket, n) in [(calls, demand.calls), (bytes_in, demand.bytes_in)] {
            if let Some(bucket) = bucket {
                bucket.take(n, now);
            }
        }
    }

    /// Gives back what was taken for a call that is not made for another's sake.
    pub(super) fn give_back(&self, demand: Demand) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(demand.places);
        let State { calls, bytes_in, cost, .. } = &mut *state;
        for (bucket, n) in [(calls, demand.calls), (bytes_in, demand.bytes_in), (cost, demand.cost)]
        {
            if let Some(bucket) = bucket {
                bucket.give_back(n);
            }
        }
    }

    /// Counts what went out, which can only be known afterwards: what is too much is owed.
    pub(super) fn went_out(&self, bytes: u64, now: Instant) {
        let now = nanos(self.start, now);
        if let Some(bucket) = &mut self.state().bytes_out {
            bucket.take(bytes, now);
        }
    }

    /// Counts what goes on record, likewise.
    pub(super) fn recorded(&self, bytes: u64, now: Instant) {
        let now = nanos(self.start, now);
        if let Some(bucket) = &mut self.state().audit {
            bucket.take(bytes, now);
        }
    }

    /// Whether it is as if it had never been used.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let now = nanos(self.start, now);
        let state = self.state();
        let buckets = [&state.calls, &state.bytes_in, &state.bytes_out, &state.cost, &state.audit];
        state.under_way == 0 && buckets.into_iter().flatten().all(|bucket| bucket.is_full(now))
    }
}

impl State {
    fn short(&self, demand: Demand, bounds: &Bounds, now: u64) -> Option<Short> {
        if let Some(most) = bounds.at_once
            && demand.places > 0
            && self.under_way.saturating_add(demand.places) > most
        {
            // When one of them ends nobody knows.
            let bound = most.to_string();
            return Some(Short { measure: Measure::AtOnce, bound, wait: None });
        }
        // What went out or on record is counted afterwards, and holds up what comes next.
        let all = [
            (Measure::Calls, &self.calls, demand.calls),
            (Measure::BytesIn, &self.bytes_in, demand.bytes_in),
            (Measure::BytesOut, &self.bytes_out, 0),
            (Measure::Cost, &self.cost, demand.cost),
            (Measure::Audit, &self.audit, 0),
        ];
        all.into_iter().find_map(|(measure, bucket, n)| {
            let bucket = bucket.as_ref()?;
            let wait = bucket.fits(n, now).err()?;
            Some(Short { measure, bound: bucket.rate().to_string(), wait: Some(wait) })
        })
    }
}
