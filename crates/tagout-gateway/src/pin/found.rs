//! One server's part of a survey.
use tagout_inspect::definition::Proposal;
use tagout_proto::{Digest, ServerName};
use tagout_store::Offering;

use super::{Accept, CameBack, ChangeKind, Found, Item, Survey, shape_of};
use crate::{
    lockfile::{PinnedOffer, PinnedServer, PinnedTool},
    upstream::{Catalogue, Tool, composed},
};

/// What a person said to count as looked at, and what was missing before it was there again.
type Said<'a> = (&'a Accept, &'a CameBack);

/// What is found under one name, and what is pinned under it.
struct Compared<'a> {
    item: Item,
    now: Digest,
    before: Option<PinnedOffer>,
    of: &'a Of<'a>,
}

/// Whose it is.
struct Of<'a> {
    server: &'a ServerName,
    /// Whether what is new there is in quarantine: whether the server is pinned.
    holds_new: bool,
    /// Whether its program is the one that was pinned.
    same_program: bool,
    said: Said<'a>,
}

/// How something found is to be pinned.
struct Outcome {
    /// It stands in the lockfile as it is now.
    seen: bool,
    pin: PinnedOffer,
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
        let holds_new = pinned.is_some_and(|pinned| !pinned.of_first_version);
        let of = Of { server: name, holds_new, same_program, said };
        for tool in &catalogue.tools {
            let before = pinned.and_then(|pinned| pinned.tools.get(&tool.name));
            let outcome = self.compare(&Compared {
                item: Item::new(Offering::Tool, tool.name.as_str()),
                now: tool.digest,
                before: before.map(PinnedTool::pin),
                of: &of,
            });
            let (pinned, hints) = proposal(tool, before.filter(|_| outcome.seen), outcome.pin);
            found.tools.insert(tool.name.clone(), pinned);
            self.hints.tools.insert((name.clone(), tool.name.clone()), hints);
            let key = (name.clone(), Item::new(Offering::Tool, tool.name.as_str()));
            self.definitions.insert(key, tool.canonical.clone());
        }
        self.add_offers(pinned, (&mut found, &catalogue), &of);
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
        pinned: Option<&PinnedServer>,
        (found, catalogue): (&mut PinnedServer, &Catalogue),
        of: &Of<'_>,
    ) {
        for (kind, offer) in catalogue.pinned_offers() {
            let before = pinned.and_then(|pinned| pinned.offers(kind)?.get(&offer.name));
            let item = Item::new(kind, &offer.name);
            let now = Digest::of(offer.canonical.as_bytes());
            let before = before.copied();
            let outcome = self.compare(&Compared { item: item.clone(), now, before, of });
            if let Some(offers) = found.offers_mut(kind) {
                offers.insert(offer.name.clone(), outcome.pin);
            }
            self.definitions.insert((of.server.clone(), item), offer.canonical.clone());
        }
    }

    /// Compares what is found with what is pinned, notes what differs, and what a person said.
    fn compare(&mut self, compared: &Compared<'_>) -> Outcome {
        let Compared { item, now, before, of } = compared;
        let (accept, came_back) = of.said;
        let times = before.map_or(0, |before| before.returned);
        let missed = came_back.get(&(item.kind, item.name.clone())).copied();
        let missed = missed.filter(|missed| *missed >= times);
        let accepted = accept.covers(of.server, item);
        let definition = before.map(|before| before.definition);
        let kind = match definition {
            None => Some(ChangeKind::Added),
            Some(before) if before != *now => Some(ChangeKind::Changed),
            Some(_) if missed.is_some() && !accepted => Some(ChangeKind::Returned),
            Some(_) => None,
        };
        if let Some(kind) = kind {
            self.changed(of.server, Some(item.clone()), kind, definition);
        }
        // Only what stands in the lockfile can have been looked at; what a changed program offers
        // is to be looked at again.
        let seen = definition == Some(*now) && of.same_program;
        let was_reviewed = before.is_some_and(|before| before.reviewed);
        let key = (of.server.clone(), item.clone());
        match (seen, accepted) {
            (true, true) if !was_reviewed || missed.is_some() => self.reviewed.push(key),
            (false, true) => self.unseen.push(key),
            (true | false, true | false) => {}
        }
        let reviewed = seen && (was_reviewed || accepted);
        let returned = missed.filter(|_| seen && accepted).map_or(times, |missed| missed + 1);
        let (held, accepted) = held(compared);
        let (held, accepted) = (held && !reviewed, accepted.filter(|_| !reviewed));
        Outcome { seen, pin: PinnedOffer { definition: *now, held, accepted, returned, reviewed } }
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

/// Whether what is found is in quarantine until it is accepted, and what stood there when it was
/// not: writing it down is no review.
fn held(compared: &Compared<'_>) -> (bool, Option<Digest>) {
    match &compared.before {
        None => (compared.of.holds_new, None),
        Some(before) if before.definition == compared.now => (before.held, before.accepted),
        Some(before) if before.held && !before.reviewed => (true, before.accepted),
        Some(before) => (true, Some(before.definition)),
    }
}

/// How a tool should be pinned, and the reasons where nobody has reviewed it. `seen` is what stands
/// in the lockfile, if that is what the server offers now.
fn proposal(tool: &Tool, seen: Option<&PinnedTool>, pin: PinnedOffer) -> (PinnedTool, Proposal) {
    let document = composed(&tool.text).ok();
    let root = document.as_ref().map(|document| document.root());
    let proposal = root.map(Proposal::of).unwrap_or_default();
    let proposed = PinnedTool::proposed(tool.digest, &proposal, root.and_then(shape_of));
    let pinned = match seen {
        // What somebody wrote into the lockfile stands.
        Some(seen) => PinnedTool {
            arguments: proposed.arguments,
            output: seen.output.clone().or(proposed.output),
            ..seen.clone()
        },
        None => proposed,
    };
    (pinned.pinned(pin), proposal)
}
