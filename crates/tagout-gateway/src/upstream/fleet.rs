//! All servers of one client. A server's process serves one client only, so that principals never
//! share it.
use std::{sync::Arc, time::Duration};

use tagout_proto::{Digest, Principal, ServerName};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    Catalogue, Tool, Upstream, UpstreamError,
    events::{Events, Listener, Record},
    judge::Absences,
    neighbours::{Neighbours, pinned_of},
    start_of,
};
use crate::{
    Gateway,
    config::{Server, Start},
    egress::EgressRecord,
};

/// How long a list waits for a server that takes its time.
const PATIENCE: Duration = Duration::from_secs(5);

/// All servers of one client.
pub(crate) struct Fleet {
    upstreams: Vec<Arc<Upstream>>,
}

impl Fleet {
    /// Knows the servers that the configuration names; starts none. `capabilities` is what they
    /// are told that their client can do, a JSON object.
    pub(crate) fn new(
        gateway: &Gateway,
        principal: &Principal,
        events: &Listener,
        capabilities: &str,
    ) -> Self {
        let capabilities = Arc::from(capabilities);
        let of = |(name, server): (&ServerName, &Arc<Server>)| {
            if server.stateless {
                let record =
                    || Record { audit: gateway.audit.clone(), clock: gateway.clock.clone() };
                return gateway.shared.upstream(name, (events, record), |told| {
                    upstream((gateway, None), (name, server), (told, Arc::from("{}")), true)
                });
            }
            let (told, capabilities) = (Events::of(events), Arc::clone(&capabilities));
            let gateway = (gateway, Some(principal));
            Arc::new(upstream(gateway, (name, server), (told, capabilities), true))
        };
        Self { upstreams: gateway.config.servers.iter().map(of).collect() }
    }

    /// As [`Fleet::new`], and holds nothing against the lockfile: to make one.
    pub(crate) fn unpinned(gateway: &Gateway, events: &Listener) -> Self {
        let of = |one: (&ServerName, &Arc<Server>)| {
            let gateway = (gateway, Some(&gateway.principal));
            Arc::new(upstream(gateway, one, (Events::of(events), Arc::from("{}")), false))
        };
        Self { upstreams: gateway.config.servers.iter().map(of).collect() }
    }

    pub(crate) fn all(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// Starts all servers at once and waits until each is ready or has failed. One that failed
    /// is tried again when it is needed.
    pub(crate) async fn start(&self) {
        let starting: Vec<_> = self
            .upstreams
            .iter()
            .map(|upstream| {
                let upstream = Arc::clone(upstream);
                tokio::spawn(async move {
                    if let Err(error) = upstream.ready().await {
                        tracing::warn!(server = %upstream.name, %error, "is not ready");
                    }
                })
            })
            .collect();
        for one in starting {
            // A task that was cancelled or panicked left its server as it was: not ready.
            drop(one.await);
        }
    }

    /// Asks all servers anew what they offer; those that do not answer are left out.
    pub(crate) async fn asked_anew(&self) -> Vec<(Arc<Upstream>, Arc<Catalogue>)> {
        let asking: Vec<_> = self
            .upstreams
            .iter()
            .map(|upstream| {
                let upstream = Arc::clone(upstream);
                tokio::spawn(async move {
                    let asked = timeout(PATIENCE, upstream.asked_anew()).await;
                    // One that takes long to answer is as it was; one that never answered yet is
                    // left out, and tells when it is ready.
                    let known = || upstream.known().ok_or(UpstreamError::Timeout(PATIENCE));
                    let catalogue = asked.unwrap_or_else(|_| known());
                    (upstream, catalogue)
                })
            })
            .collect();
        let mut answers = Vec::new();
        for one in asking {
            match one.await {
                Ok((upstream, Ok(catalogue))) => answers.push((upstream, catalogue)),
                Ok((upstream, Err(error))) => {
                    tracing::warn!(server = %upstream.name, %error, "is left out of a list");
                }
                Err(_) => {}
            }
        }
        answers
    }

    /// The server to which the name `name`, as clients see it, belongs, by its prefix.
    pub(crate) fn owner(&self, name: &str) -> Option<&Arc<Upstream>> {
        if let [only] = self.upstreams.as_slice()
            && only.server.bare
        {
            return Some(only);
        }
        let (server, _) = name.split_once("__")?;
        self.upstreams.iter().find(|upstream| upstream.name.as_str() == server)
    }

    /// The tool that clients see as `name` among those of one server.
    pub(crate) fn tool<'a>(catalogue: &'a Catalogue, name: &str) -> Option<&'a Arc<Tool>> {
        let mut named = catalogue.tools.iter().filter(|tool| tool.qualified == name);
        // Two that were cut to the same name are both unreachable rather than confused.
        named.next().filter(|_| named.next().is_none())
    }

    /// Ends the servers that are this client's alone.
    pub(crate) fn stop(&self) {
        let own = self.upstreams.iter().filter(|upstream| !upstream.is_shared());
        own.for_each(|upstream| upstream.stop());
    }
}

/// A server of the configuration; `pins` says whether it is held against the lockfile.
fn upstream(
    (gateway, principal): (&Gateway, Option<&Principal>),
    (name, server): (&ServerName, &Arc<Server>),
    (events, capabilities): (Events, Arc<str>),
    pins: bool,
) -> Upstream {
    let locks = (&gateway.lockfile, &gateway.shipped);
    let pinned = pinned_of(name, server, locks).filter(|_| pins);
    let built_in = matches!(server.start, Start::BuiltIn(_));
    let alone = || gateway.lockfile.programs.get(name).filter(|_| pins && !built_in);
    let started_as = pinned.or_else(alone);
    let signed = pins && !built_in && !gateway.config.signed_by.is_empty();
    let absences = Absences { store: gateway.store.clone(), clock: gateway.clock.clone() };
    let known = &gateway.shared.known;
    let neighbours = || Neighbours::of(&gateway.config, &gateway.lockfile, &gateway.shipped);
    // What is to be pinned is held against the others when all is known.
    let neighbours = if pins { known.neighbours(neighbours) } else { Arc::default() };
    Upstream {
        name: name.clone(),
        server: Arc::clone(server),
        program: start_of(server, &gateway.own_program),
        guarded: Arc::clone(&gateway.guarded),
        egress: EgressRecord {
            audit: gateway.audit.clone(),
            clock: gateway.clock.clone(),
            server: name.clone(),
            principal: principal.cloned(),
        },
        secrets: gateway.secrets.clone(),
        unsigned: signed && pinned.is_none(),
        started_as: started_as.map(|pinned| Arc::new(pinned.clone())),
        pinned: pinned.map(|pinned| Arc::new(pinned.clone())),
        limits: gateway.config.limits,
        capabilities,
        events,
        known: Arc::clone(known),
        neighbours,
        absences: Some(absences).filter(|_| pins && !built_in),
        now: std::sync::RwLock::default(),
        starting: tokio::sync::Mutex::default(),
        identity: super::identity::Identity::default(),
        stopped: CancellationToken::new(),
    }
}

/// What an approval binds to: server, definition, arguments, principal and policy.
pub(crate) fn binding(parts: &[&[u8]]) -> Digest {
    Digest::of_parts(parts.iter().copied())
}

/// The longest URI template that is taken, in bytes.
pub(crate) const TEMPLATE_BYTES: usize = 1024;

/// Whether `uri` could be made from the template: `{name}` stands for one or more characters
/// without a solidus, `{+name}`, other operators and `{name*}` for anything.
///
/// Takes time in proportion to the product of both lengths, whatever the template: it keeps the
/// set of places that the pattern so far can end at, and never goes back.
pub(crate) fn fits_template(template: &str, uri: &str) -> bool {
    // The places in `uri`, by byte, where what was read of the template can end.
    let mut places = vec![false; uri.len() + 1];
    if let Some(first) = places.first_mut() {
        *first = true;
    }
    let mut rest = template;
    while !rest.is_empty() {
        let (literal, variable) = rest.split_once('{').map_or((rest, None), |(l, v)| (l, Some(v)));
        places = after_literal(&places, uri.as_bytes(), literal.as_bytes());
        let Some(variable) = variable else { break };
        let Some((variable, after)) = variable.split_once('}') else { return false };
        let anything =
            variable.starts_with(['+', '#', '/', '?', '&', '.', ';']) || variable.ends_with('*');
        places = after_variable(&places, uri.as_bytes(), anything);
        rest = after;
    }
    places.last().copied().unwrap_or_default()
}

fn after_literal(places: &[bool], uri: &[u8], literal: &[u8]) -> Vec<bool> {
    let mut after = vec![false; places.len()];
    for (at, _) in places.iter().enumerate().filter(|(_, can)| **can) {
        let fits = uri.get(at..).is_some_and(|rest| rest.starts_with(literal));
        if let (true, Some(place)) = (fits, after.get_mut(at + literal.len())) {
            *place = true;
        }
    }
    after
}

fn after_variable(places: &[bool], uri: &[u8], anything: bool) -> Vec<bool> {
    let mut open = false;
    let mut after = Vec::with_capacity(places.len());
    for (at, can) in places.iter().enumerate() {
        // A variable that is open takes the byte before this place, or ends at its solidus.
        let byte = at.checked_sub(1).and_then(|before| uri.get(before));
        open &= anything || byte != Some(&b'/');
        after.push(open || (anything && *can));
        open |= *can;
    }
    after
}

#[cfg(test)]
mod tests {
    use super::fits_template;

    #[test]
    fn templates_fit() {
        for (template, uri, fits) in [
            ("grid://load/{id}", "grid://load/hourly_load", true),
            ("grid://load/{id}", "grid://load/", false),
            ("grid://load/{id}", "grid://load/a/b", false),
            ("file:///{+path}", "file:///home/ann/x", true),
            ("file:///{path*}", "file:///home/ann/x", true),
            ("a{b}c{d}e", "aXcYe", true),
            ("a{b}c{d}e", "aXce", false),
            ("a{b}c{d}e", "axcxcxe", true),
            ("a{b", "a{b", false),
            ("exact", "exact", true),
            ("exact", "exacte", false),
            ("{x}", "é", true),
        ] {
            assert_eq!(fits_template(template, uri), fits, "{template} {uri}");
        }
    }

    #[test]
    fn no_template_takes_long() {
        let bomb = format!("{}#!", "{+a}".repeat(5000));
        assert!(!fits_template(&bomb, &"x".repeat(2000)));
    }
}
