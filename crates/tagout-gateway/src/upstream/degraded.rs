//! What goes on record of a server that is isolated less than it should be.
use std::sync::OnceLock;

use tagout_sandbox::{Jailer, Part, survey};

use super::{Event, Upstream};
use crate::config::Isolated;

/// Puts on record that the server, which was started here, has less than the whole isolation, where it has.
pub(super) async fn put_on_record(upstream: &Upstream) {
    let detail = match &upstream.server.isolated {
        Isolated::Not => "not isolated at all, as its entry says".to_owned(),
        Isolated::Fully(sandbox) if sandbox.accepted.is_empty() => return,
        Isolated::Fully(sandbox) => {
            let Ok(missing) = tokio::task::spawn_blocking(missing_here).await else { return };
            let without = missing.iter().filter(|part| sandbox.accepted.contains(part));
            let without: Vec<_> = without.map(|part| part.as_str()).collect();
            if without.is_empty() {
                return;
            }
            format!("without {}, as its entry accepts", without.join(", "))
        }
    };
    upstream.happened(Event::Wrong { event: "sandbox-degraded", detail });
}

/// What this machine lacks; found out once. Where that cannot be found out, everything.
fn missing_here() -> &'static [Part] {
    static MISSING: OnceLock<Vec<Part>> = OnceLock::new();
    MISSING.get_or_init(|| match survey(&Jailer::this_program()) {
        Ok(survey) => survey.missing(),
        Err(_) => Part::ALL.to_vec(),
    })
}
