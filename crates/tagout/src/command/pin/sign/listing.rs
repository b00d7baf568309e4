//! What is signed, for whoever types the passphrase: all that the lockfile lets happen.
use tagout_gateway::lockfile::{Lockfile, PinnedServer, PinnedTool};
use tagout_proto::{Digest, ServerName};
use tagout_terminal::printable;

use super::super::shown::name;

/// All that counts as reviewed in the lockfile that holds `text`, and the digest of that text.
pub(super) fn listing(path: &str, text: &str, lockfile: &Lockfile) -> String {
    let mut lines = vec![
        format!("You sign {}, {}.", printable(path), Digest::of(text.as_bytes())),
        "What it says is reviewed:".to_owned(),
    ];
    for (server, pinned) in &lockfile.servers {
        list(&mut lines, server, pinned);
    }
    for (path, model) in &lockfile.models {
        let path = path.display().to_string();
        lines.push(format!("model {}: {}", printable(&path), model.digest));
    }
    lines.join("\n")
}

fn list(lines: &mut Vec<String>, server: &ServerName, pinned: &PinnedServer) {
    let program = pinned.command.as_ref().map(|command| command.join(" "));
    let program = program.or_else(|| pinned.url.clone()).unwrap_or_default();
    lines.push(format!("{server}: {}", printable(&program)));
    for (tool, one) in pinned.tools.iter().filter(|(_, one)| one.reviewed) {
        lines.push(format!("  {}: {}", name(tool.as_str()), described(one)));
    }
    for (kind, offers) in [("prompt", &pinned.prompts), ("template", &pinned.templates)] {
        for (offer, _) in offers.iter().filter(|(_, one)| one.reviewed) {
            lines.push(format!("  {} (a {kind})", name(offer)));
        }
    }
    if pinned.offers_reviewed {
        lines.push("  all of its resources and prompts only read".to_owned());
    }
    let offers = pinned.prompts.values().chain(pinned.templates.values());
    let pins = pinned.tools.values().map(PinnedTool::pin).chain(offers.copied());
    let others = pins.filter(|one| !one.reviewed).count();
    if others > 0 {
        lines.push(format!("  ({others} not reviewed)"));
    }
}

/// What a reviewed tool may do.
fn described(tool: &PinnedTool) -> String {
    let mut words: Vec<_> = tool.effects.iter().map(|effect| effect.as_str()).collect();
    let labels = tool.labels();
    let labels = [
        (labels.untrusted, "untrusted output"),
        (labels.sensitive, "sensitive output"),
        (labels.may_leave, "what it is given may leave"),
        (tool.returned > 0, "was missing meanwhile"),
    ];
    words.extend(labels.into_iter().filter(|(says, _)| *says).map(|(_, word)| word));
    if words.is_empty() { "no effects".to_owned() } else { words.join(", ") }
}
