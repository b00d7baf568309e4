//! What a call holds of its shares while it is under way.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::cell::{Cell, Demand, Short};

/// What a call holds. Dropping it makes room for another.
#[derive(Debug, Default)]
#[must_use = "what is not held is given back at once"]
pub(crate) struct Permit {
    taken: Vec<Arc<Taken>>,
}

/// What was taken of one share.
#[derive(Debug)]
pub(super) struct Taken {
    cell: Arc<Cell>,
    demand: Demand,
}

impl Taken {
    pub(super) fn take(cell: &Arc<Cell>, demand: Demand, now: Instant) -> Result<Self, Short> {
        cell.take(demand, now)?;
        Ok(Self { cell: Arc::clone(cell), demand })
    }

    /// The same for a call that was counted before it was read.
    pub(super) fn take_paid(cell: &Arc<Cell>, demand: Demand, now: Instant) -> Result<Self, Short> {
        cell.take(Demand { calls: 0, ..demand }, now)?;
        Ok(Self { cell: Arc::clone(cell), demand })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Demand { places, .. } = self.demand;
        self.cell.give_back(Demand { places, ..Demand::default() });
    }
}

impl Permit {
    pub(super) fn of(taken: Taken) -> Self {
        Self { taken: vec![Arc::new(taken)] }
    }

    pub(super) fn add(&mut self, taken: Taken) {
        self.taken.push(Arc::new(taken));
    }

    /// The same places once more: they are free when both are dropped.
    pub(super) fn shared(&self) -> Self {
        Self { taken: self.taken.clone() }
    }

    /// Gives all back: the call is not made for another limit's sake.
    pub(super) fn undo(self) {
        for taken in &self.taken {
            taken.cell.give_back(Demand { places: 0, ..taken.demand });
        }
    }

    /// Takes what a call costs, of all shares or of none.
    pub(super) fn pay(&self, cost: u64, now: Instant) -> Result<(), Short> {
        let demand = Demand { cost, ..Demand::default() };
        for (n, taken) in self.taken.iter().enumerate() {
            if let Err(short) = taken.cell.take(demand, now) {
                self.taken.iter().take(n).for_each(|taken| taken.cell.give_back(demand));
                return Err(short);
            }
        }
        Ok(())
    }

    /// Gives back what a call would have cost.
    pub(super) fn paid_back(&self, cost: u64) {
        let demand = Demand { cost, ..Demand::default() };
        self.taken.iter().for_each(|taken| taken.cell.give_back(demand));
    }

    /// Counts what goes back to the client. It is not withheld for that: the call was made.
    pub(crate) fn went_out(&self, bytes: usize) {
        let (bytes, now) = (u64::try_from(bytes).unwrap_or(u64::MAX), Instant::now());
        self.taken.iter().for_each(|taken| taken.cell.went_out(bytes, now));
    }

    /// The longest that a server may take, of all that it holds.
    pub(crate) fn wall(&self) -> Option<Duration> {
        self.taken.iter().filter_map(|taken| taken.cell.wall()).min()
    }
}
