//! What goes on record of a server that is isolated less than it should be.
use std::sync::OnceLock;

use tagout_sandbox::{Jailer, Part, survey};

use super::{Event, Upstream};
use crate::config::Isolated;

/// Puts on record what of its isolation the server was started without, where its entry accepts
/// that and the machine lacks it.
pub(super) async fn put_on_record(upstream: &Upstream) {
    let accepted = match &upstream.server.isolated {
        Isolated::Fully(sandbox) if !sandbox.accepted.is_empty() => &sandbox.accepted,
        Isolated::Fully(_) | Isolated::Not => return,
    };
    let Ok(missing) = tokio::task::spawn_blocking(missing_here).await else { return };
    let without: Vec<_> = missing.iter().filter(|part| accepted.contains(part)).collect();
    if !without.is_empty() {
        let without: Vec<_> = without.into_iter().map(|part| part.as_str()).collect();
        let detail = format!("without {}, as its entry accepts", without.join(", "));
        upstream.happened(Event::Wrong { event: "sandbox-degraded", detail });
    }
}

/// What this machine lacks; found out once. Where that cannot be found out, everything.
fn missing_here() -> &'static [Part] {
    static MISSING: OnceLock<Vec<Part>> = OnceLock::new();
    MISSING.get_or_init(|| match survey(&Jailer::this_program()) {
        Ok(survey) => survey.missing(),
        Err(_) => Part::ALL.to_vec(),
    })
}
