//! One server's part of a survey.
use std::collections::BTreeSet;

use tagout_inspect::definition::Proposal;
use tagout_proto::{Digest, ServerName};
use tagout_store::Offering;

use super::{Accept, ChangeKind, Found, Item, Survey, shape_of};
use crate::{
    lockfile::{PinnedOffer, PinnedServer, PinnedTool},
    upstream::{Catalogue, Tool, composed},
};

/// What a person said to count as looked at, and what was missing before it was there again.
type Said<'a> = (&'a Accept, &'a BTreeSet<(Offering, String)>);

/// What is found under one name, and what is pinned under it.
struct Compared<'a> {
    item: Item,
    now: Digest,
    before: Option<Digest>,
    /// Whether a person has looked at what is pinned.
    reviewed: bool,
    /// Whether the server's program is the one that was pinned.
    same_program: bool,
    said: Said<'a>,
}

/// How something found is to be pinned.
struct Outcome {
    /// It stands in the lockfile as it is now.
    seen: bool,
    /// It counts as looked at.
    reviewed: bool,
}

impl Survey {
    /// Adds what a server is and offers now, against what is pinned of it.
    pub(super) fn add(
        &mut self,
        name: &ServerName,
        pinned: Option<&PinnedServer>,
        found: Found,
        said: Said<'_>,
    ) {
        let Found { program: mut found, catalogue } = found;
        let same_program = pinned.is_some_and(|pinned| pinned.same_program(&found));
        found.offers_reviewed = same_program && pinned.is_some_and(|pinned| pinned.offers_reviewed);
        if !same_program {
            let kind = if pinned.is_some() { ChangeKind::Changed } else { ChangeKind::Added };
            self.changed(name, None, kind, None);
        }
        self.add_instructions(name, pinned, (&mut found, &catalogue));
        for tool in &catalogue.tools {
            let before = pinned.and_then(|pinned| pinned.tools.get(&tool.name));
            let outcome = self.compare(
                name,
                &Compared {
                    item: Item::new(Offering::Tool, tool.name.as_str()),
                    now: tool.digest,
                    before: before.map(|before| before.definition),
                    reviewed: before.is_some_and(|before| before.reviewed),
                    same_program,
                    said,
                },
            );
            let (pinned, hints) = proposal(tool, before.filter(|_| outcome.seen), outcome.reviewed);
            found.tools.insert(tool.name.clone(), pinned);
            self.hints.tools.insert((name.clone(), tool.name.clone()), hints);
            let key = (name.clone(), Item::new(Offering::Tool, tool.name.as_str()));
            self.definitions.insert(key, tool.canonical.clone());
        }
        self.add_offers(name, pinned, (&mut found, &catalogue), (same_program, said));
        self.miss(name, pinned, &catalogue);
        self.proposal.servers.insert(name.clone(), found);
    }

    fn add_instructions(
        &mut self,
        name: &ServerName,
        pinned: Option<&PinnedServer>,
        (found, catalogue): (&mut PinnedServer, &Catalogue),
    ) {
        let text = catalogue.instructions.as_deref();
        found.instructions = text.map(|text| Digest::of(text.as_bytes()));
        let item = Item::new(Offering::Instructions, "");
        if let Some(text) = text {
            self.definitions.insert((name.clone(), item.clone()), text.to_owned());
        }
        let before = pinned.and_then(|pinned| pinned.instructions);
        let kind = match (before, found.instructions) {
            (Some(before), Some(now)) if before == now => return,
            (Some(_), Some(_)) => ChangeKind::Changed,
            (Some(_), None) => ChangeKind::Removed,
            (None, Some(_)) => ChangeKind::Added,
            (None, None) => return,
        };
        self.changed(name, Some(item), kind, before);
    }

    fn add_offers(
        &mut self,
        name: &ServerName,
        pinned: Option<&PinnedServer>,
        (found, catalogue): (&mut PinnedServer, &Catalogue),
        (same_program, said): (bool, Said<'_>),
    ) {
        for (kind, offer) in catalogue.pinned_offers() {
            let before = pinned.and_then(|pinned| pinned.offers(kind)?.get(&offer.name));
            let item = Item::new(kind, &offer.name);
            let now = Digest::of(offer.canonical.as_bytes());
            let outcome = self.compare(
                name,
                &Compared {
                    item: item.clone(),
                    now,
                    before: before.map(|before| before.definition),
                    reviewed: before.is_some_and(|before| before.reviewed),
                    same_program,
                    said,
                },
            );
            let pinned = PinnedOffer { definition: now, reviewed: outcome.reviewed };
            if let Some(offers) = found.offers_mut(kind) {
                offers.insert(offer.name.clone(), pinned);
            }
            self.definitions.insert((name.clone(), item), offer.canonical.clone());
        }
    }

    /// Compares what is found with what is pinned, notes what differs, and what a person said.
    fn compare(&mut self, server: &ServerName, compared: &Compared<'_>) -> Outcome {
        let Compared { item, now, before, reviewed, same_program, said: (accept, came_back) } =
            compared;
        let returned = came_back.contains(&(item.kind, item.name.clone()));
        let accepted = accept.covers(server, item);
        let kind = match before {
            None => Some(ChangeKind::Added),
            Some(before) if before != now => Some(ChangeKind::Changed),
            Some(_) if returned && !accepted => Some(ChangeKind::Returned),
            Some(_) => None,
        };
        if let Some(kind) = kind {
            self.changed(server, Some(item.clone()), kind, *before);
        }
        // Only what stands in the lockfile can have been looked at; what a changed program offers
        // is to be looked at again.
        let seen = *before == Some(*now) && *same_program;
        let key = (server.clone(), item.clone());
        match (seen, accepted) {
            (true, true) if !reviewed || returned => self.reviewed.push(key),
            (false, true) => self.unseen.push(key),
            (true | false, true | false) => {}
        }
        Outcome { seen, reviewed: seen && (*reviewed || accepted) }
    }

    /// Notes what is pinned and not there.
    fn miss(&mut self, name: &ServerName, pinned: Option<&PinnedServer>, now: &Catalogue) {
        let Some(pinned) = pinned else { return };
        for (tool, gone) in &pinned.tools {
            if now.tool(tool).is_none() {
                let item = Item::new(Offering::Tool, tool.as_str());
                self.changed(name, Some(item), ChangeKind::Removed, Some(gone.definition));
            }
        }
        for (kind, offers) in
            [(Offering::Prompt, &pinned.prompts), (Offering::Template, &pinned.templates)]
        {
            for (offer, gone) in offers {
                let there =
                    now.pinned_offers().any(|(other, one)| other == kind && one.name == *offer);
                if !there {
                    let item = Item::new(kind, offer);
                    self.changed(name, Some(item), ChangeKind::Removed, Some(gone.definition));
                }
            }
        }
    }
}

/// How a tool should be pinned, and the reasons where nobody has reviewed it. `seen` is what stands
/// in the lockfile, if that is what the server offers now.
fn proposal(tool: &Tool, seen: Option<&PinnedTool>, reviewed: bool) -> (PinnedTool, Proposal) {
    let document = composed(&tool.text).ok();
    let root = document.as_ref().map(|document| document.root());
    let proposal = root.map(Proposal::of).unwrap_or_default();
    let proposed = PinnedTool::proposed(tool.digest, &proposal, root.and_then(shape_of));
    let pinned = match seen {
        // What somebody wrote into the lockfile stands.
        Some(seen) => PinnedTool {
            arguments: proposed.arguments,
            output: seen.output.clone().or(proposed.output),
            reviewed,
            ..seen.clone()
        },
        None => proposed,
    };
    (pinned, proposal)
}
