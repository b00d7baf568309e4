//! What this machine has to isolate programs with.
use std::{collections::BTreeMap, io};

use crate::{Jailer, Part, starts::ask_for_survey};

/// What the machine has of each [`Part`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Every part, and whether it is there.
    pub parts: BTreeMap<Part, Found>,
}

/// Whether a part is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is, in this form.
    Present(String),
    /// It is not.
    Missing {
        /// What was tried, and the system's word.
        why: String,
        /// What would give it.
        remedy: &'static str,
    },
}

impl Survey {
    /// The parts that are not there.
    #[must_use]
    pub fn missing(&self) -> Vec<Part> {
        let missing = |found: &Found| matches!(found, Found::Missing { .. });
        self.parts.iter().filter(|(_, found)| missing(found)).map(|(part, _)| *part).collect()
    }
}

/// Finds out what this machine has, by trying each part in a jailer that starts nothing.
///
/// # Errors
/// The jailer cannot be started.
pub fn survey(jailer: &Jailer) -> io::Result<Survey> {
    ask_for_survey(jailer)
}
