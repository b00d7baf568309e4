//! For tests. Nothing that Tagout is configured with gets here.
use std::{collections::BTreeMap, sync::Arc};

use super::guard::{Guard, Resolve};

/// A guard that lets the names that `resolver` knows lead to this machine, so that a stand-in for
/// the internet can be there; a port in `ports` leads to the one beside it. Addresses are looked at
/// as ever.
#[must_use]
pub fn guard_with_a_stand_in(resolver: Arc<dyn Resolve>, ports: BTreeMap<u16, u16>) -> Guard {
    Guard::of(resolver, false, Some(ports))
}
