//! What speaks against what is not reviewed yet, once all of it is known.
use tagout_inspect::{
    lookalike::{looks, spelled},
    shadowing::Said,
};
use tagout_proto::ServerName;
use tagout_store::Offering;

use super::{Item, Survey};
use crate::{
    config::Config,
    lockfile::Lockfile,
    upstream::{Neighbours, TOO_LONG, composed},
};

impl Survey {
    /// Holds whatever is not reviewed against all that would be pinned.
    pub(super) fn suspect(&mut self, config: &Config, shipped: &Lockfile) {
        let neighbours = Neighbours::of(config, &self.proposal, shipped);
        let mut warnings = std::mem::take(&mut self.hints.warnings);
        for ((server, item), text) in &self.definitions {
            if self.is_reviewed(server, item) {
                continue;
            }
            let alike = neighbours.lookalike(item.kind, &item.name, &looks(&item.name));
            let alike = alike.map(|of| format!("name-lookalike: `{}`", spelled(of)));
            let warning = alike
                .or_else(|| self.shadow(&neighbours, (server, item), text))
                .or_else(|| self.held(server, item));
            let key = (server.clone(), item.kind, item.name.clone());
            warnings.extend(warning.map(|warning| (key, warning)));
        }
        self.hints.warnings = warnings;
    }

    fn is_reviewed(&self, server: &ServerName, item: &Item) -> bool {
        let Some(pinned) = self.proposal.servers.get(server) else { return true };
        let offer = pinned.offers(item.kind).and_then(|offers| offers.get(&item.name));
        match item.kind {
            Offering::Instructions => true,
            Offering::Tool => pinned.tools.get(item.name.as_str()).is_none_or(|tool| tool.reviewed),
            Offering::Prompt | Offering::Template => offer.is_none_or(|offer| offer.reviewed),
        }
    }

    fn held(&self, server: &ServerName, item: &Item) -> Option<String> {
        let pin = self.proposal.servers.get(server)?.pin(item.kind, &item.name)?;
        let why = pin.quarantine()?;
        Some(format!("{}: it stays hidden until it is accepted", why.code()))
    }

    fn shadow(
        &self,
        neighbours: &Neighbours,
        (server, item): (&ServerName, &Item),
        text: &str,
    ) -> Option<String> {
        let document = composed(text).ok().filter(|_| item.kind == Offering::Tool)?;
        let members = document.root().members().filter(|(key, _)| key != "name");
        let said = Said::of(members.flat_map(|(_, value)| value.strings()));
        let own = &self.proposal.servers.get(server)?.tools;
        let suspects = neighbours.suspects(server, &item.name, &said);
        let meant = suspects.into_iter().find(|suspect| {
            suspect.by_name.as_ref().is_none_or(|name| !own.contains_key(name.as_str()))
        })?;
        Some(match meant.of {
            Some(of) => format!("name-shadowing: it speaks of `{of}`"),
            None => format!("name-shadowing: {TOO_LONG}"),
        })
    }
}
