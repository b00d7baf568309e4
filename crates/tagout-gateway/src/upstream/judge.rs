//! What only a whole list shows: names that pass for each other, and what comes back after it was
//! missing.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tagout_inspect::lookalike::{Looks, looks};
use tagout_proto::{ServerName, qualified};
use tagout_store::{Offering, Store, StoreError};

use super::{
    Offer, Quarantine, Standing, Tool, Upstream,
    neighbours::{Neighbours, keys},
};
use crate::{Clock, lockfile::PinnedServer};

/// Where it is remembered what was missing.
#[derive(Clone)]
pub(super) struct Absences {
    pub(super) store: Store,
    pub(super) clock: Clock,
}

/// What the whole of a list is held against.
pub(super) struct Judge {
    server: ServerName,
    bare: bool,
    pinned: Option<Arc<PinnedServer>>,
    neighbours: Arc<Neighbours>,
    absences: Option<Absences>,
}

impl Judge {
    pub(super) fn of(upstream: &Upstream) -> Self {
        Self {
            server: upstream.name.clone(),
            bare: upstream.server.bare,
            pinned: upstream.pinned.clone(),
            neighbours: Arc::clone(&upstream.neighbours),
            absences: upstream.absences.clone(),
        }
    }

    fn name_for_clients(&self, name: &str) -> String {
        if self.bare { name.to_owned() } else { qualified(&self.server, name) }
    }
}

/// All that a server offers and that is pinned by name.
#[derive(Default)]
pub(super) struct Offered {
    pub(super) tools: Vec<Arc<Tool>>,
    pub(super) prompts: Vec<Offer>,
    pub(super) templates: Vec<Offer>,
}

impl Offered {
    /// The same, with what the whole of it shows. Blocks: it reads and writes the store.
    ///
    /// # Errors
    /// It is not known what was missing before.
    pub(super) fn judged(self, judge: &Judge) -> Result<Self, StoreError> {
        let absent = self.absent(judge)?;
        let alike =
            Alike::of(self.tools.iter().map(|tool| (tool.name.as_str(), tool.looks.clone())));
        let own: BTreeSet<_> =
            self.tools.iter().map(|tool| tool.name.as_str().to_owned()).collect();
        let tools = self.tools.into_iter().map(|tool| {
            let named = (Offering::Tool, tool.name.as_str().to_owned());
            let alike = || alike.of_tool(judge, &tool).or_else(|| shadowed(&tool, &own));
            match found(&tool.standing, alike, absent.contains(&named)) {
                Some(why) => Arc::new(tool.in_quarantine(why)),
                None => tool,
            }
        });
        let tools = tools.collect();
        let judged = |offers: Vec<Offer>, kind: Offering| -> Vec<Offer> {
            let alike = Alike::of(offers.iter().map(|one| (one.name.as_str(), looks(&one.name))));
            let judged = offers.iter().map(|offer| {
                let named = (kind, offer.name.clone());
                let like = || alike.of_offer(judge, kind, offer);
                let standing = found(&offer.standing, like, absent.contains(&named));
                let standing =
                    standing.map_or_else(|| offer.standing.clone(), Standing::Quarantined);
                Offer { standing, ..offer.clone() }
            });
            judged.collect()
        };
        Ok(Self {
            tools,
            prompts: judged(self.prompts, Offering::Prompt),
            templates: judged(self.templates, Offering::Template),
        })
    }

    /// What was missing at any time since it was last accepted, and is remembered from now on.
    fn absent(&self, judge: &Judge) -> Result<BTreeSet<(Offering, String)>, StoreError> {
        let (Some(absences), Some(pinned)) = (&judge.absences, &judge.pinned) else {
            return Ok(BTreeSet::new());
        };
        let tools = pinned.tools.keys().map(|name| (Offering::Tool, name.as_str()));
        let prompts = pinned.prompts.keys().map(|name| (Offering::Prompt, name.as_str()));
        let templates = pinned.templates.keys().map(|name| (Offering::Template, name.as_str()));
        let mut missing: BTreeSet<_> = tools.chain(prompts).chain(templates).collect();
        for tool in &self.tools {
            missing.remove(&(Offering::Tool, tool.name.as_str()));
        }
        for (kind, offers) in
            [(Offering::Prompt, &self.prompts), (Offering::Template, &self.templates)]
        {
            for offer in offers {
                missing.remove(&(kind, offer.name.as_str()));
            }
        }
        let known = absences.store.absent(&judge.server)?;
        let returned = |kind, name: &str| pinned.pin(kind, name).map_or(0, |pin| pin.returned);
        let missing = missing.into_iter().map(|(kind, name)| {
            let returned = returned(kind, name);
            ((kind, name.to_owned()), returned)
        });
        let fresh: BTreeMap<_, _> = missing
            .filter(|(one, returned)| known.get(one).is_none_or(|before| before < returned))
            .collect();
        if !fresh.is_empty() {
            absences.store.note_absent(&judge.server, &fresh, absences.clock.now())?;
        }
        // A person who accepts what returned says so in the lockfile, where it can be signed.
        let open = known.into_iter().filter(|((kind, name), at)| *at >= returned(*kind, name));
        Ok(open.map(|(one, _)| one).collect())
    }
}

/// Why something is in quarantine that was not for what it is by itself. What a person has looked
/// at passes for nothing else, and still has to be looked at again when it comes back.
fn found(
    standing: &Standing,
    alike: impl FnOnce() -> Option<Quarantine>,
    was_absent: bool,
) -> Option<Quarantine> {
    let returned = was_absent.then_some(Quarantine::Returned);
    match standing {
        Standing::Quarantined(Quarantine::New) | Standing::Unreviewed => alike().or(returned),
        Standing::Reviewed => returned,
        Standing::Quarantined(
            Quarantine::Changed { .. }
            | Quarantine::Returned
            | Quarantine::Lookalike { .. }
            | Quarantine::Shadowing { .. },
        ) => None,
    }
}

fn shadowed(tool: &Tool, own: &BTreeSet<String>) -> Option<Quarantine> {
    let meant = |name: &Option<String>| name.as_ref().is_none_or(|name| !own.contains(name));
    let suspect = tool.suspects.iter().find(|suspect| meant(&suspect.by_name))?;
    Some(Quarantine::Shadowing { of: suspect.of.clone() })
}

/// Names of one list, by their looks.
struct Alike(HashMap<String, Vec<String>>);

impl Alike {
    fn of<'a>(names: impl Iterator<Item = (&'a str, Looks)>) -> Self {
        let mut all = HashMap::<String, Vec<String>>::new();
        for (name, looks) in names {
            for look in keys(&looks) {
                let alike = all.entry(look).or_default();
                // Two are enough for each to have another.
                if alike.len() < 2 && alike.iter().all(|other| other != name) {
                    alike.push(name.to_owned());
                }
            }
        }
        Self(all)
    }

    fn other(&self, name: &str, looks: &Looks) -> Option<&str> {
        let alike = keys(looks).into_iter().filter_map(|look| self.0.get(&look)).flatten();
        alike.map(String::as_str).find(|other| *other != name)
    }

    fn of_tool(&self, judge: &Judge, tool: &Tool) -> Option<Quarantine> {
        let pinned = judge.neighbours.lookalike(Offering::Tool, tool.name.as_str(), &tool.looks);
        let own = || self.other(tool.name.as_str(), &tool.looks);
        let of = pinned.map(str::to_owned);
        let of = of.or_else(|| own().map(|name| judge.name_for_clients(name)))?;
        Some(Quarantine::Lookalike { of })
    }

    fn of_offer(&self, judge: &Judge, kind: Offering, offer: &Offer) -> Option<Quarantine> {
        let looks = looks(&offer.name);
        let pinned = judge.neighbours.lookalike(kind, &offer.name, &looks);
        let of = pinned.or_else(|| self.other(&offer.name, &looks))?;
        Some(Quarantine::Lookalike { of: of.to_owned() })
    }
}
