//! `consent`: to which servers and models somebody's data may go.
use std::process::ExitCode;

use tagout_gateway::{
    Gateway,
    consent::{Agreed, ConsentTrouble},
    identity::os_user,
};
use tagout_inspect::characters::one_line;
use tagout_proto::Principal;
use tagout_store::RecipientKind;

use crate::{
    cli::{Consent, ConsentTo},
    failure::{Ended, Failure},
    models, output,
    places::Places,
    setup::Setup,
};

/// Lists, gives or revokes consent.
pub(crate) fn consent(places: &Places, consent: &Consent, json: bool) -> Result<ExitCode, Failure> {
    let setup = Setup::read(places)?;
    let own = os_user(&setup.config);
    let for_all = &setup.config.consent;
    let servers = for_all.agreed.iter().map(|server| format!("server {server}"));
    let models = for_all.models.iter().map(|model| format!("model {}", one_line(model)));
    let for_all: Vec<_> = servers.chain(models).collect();
    let gateway = setup.open(places)?;
    match consent {
        Consent::Ls => list(places, &gateway, &for_all, json),
        Consent::Give(to) => give((places, &gateway), to, &own, json),
        Consent::Revoke(to) => revoke(&gateway, to, &own, json),
    }
}

fn list(
    places: &Places,
    gateway: &Gateway,
    for_all: &[String],
    json: bool,
) -> Result<ExitCode, Failure> {
    let consents = gateway.store().consents();
    let consents = consents.map_err(|error| failed(&error.into()))?;
    let mut rows = Vec::new();
    for consent in &consents {
        let (recipient, kind) = (&consent.recipient.name, consent.recipient.kind);
        // Another program by now: nothing goes to it before somebody agrees again.
        let now = match kind {
            RecipientKind::Model => models::recipient_of(places, recipient).ok().flatten(),
            RecipientKind::Server => gateway.recipient(recipient).ok(),
        };
        let is_as_it_was = now.is_some_and(|now| now == consent.recipient);
        let standing = if is_as_it_was { "holds" } else { "is asked for again: it has changed" };
        if json {
            output::json(&serde_json::json!({
                "user": consent.user, "authenticated_by": consent.authenticated_by,
                "kind": kind.as_str(), "recipient": recipient,
                "identity": consent.recipient.identity, "agreed_at": consent.agreed_at,
                "by": consent.by, "channel": consent.channel, "record": consent.record,
                "holds": is_as_it_was,
            }))?;
            continue;
        }
        let day = consent.agreed_at.strftime("%Y-%m-%d").to_string();
        rows.push(vec![
            one_line(&consent.user),
            consent.authenticated_by.clone(),
            format!("{} {}", kind.as_str(), one_line(recipient)),
            format!("{day} by {} ({})", one_line(&consent.by), consent.channel),
            format!("record {}", consent.record),
            standing.to_owned(),
        ]);
    }
    if json {
        return Ok(Ended::Done.into());
    }
    if !rows.is_empty() {
        output::line(output::table(&rows))?;
    }
    for server in for_all {
        output::line(format_args!("everybody, to {server}: by the configuration"))?;
    }
    if rows.is_empty() && for_all.is_empty() {
        output::line(
            "nobody has agreed that anything goes anywhere; built-in servers and models on this \
             machine need no consent",
        )?;
    }
    Ok(Ended::Done.into())
}

fn give(
    (places, gateway): (&Places, &Gateway),
    to: &ConsentTo,
    own: &Principal,
    json: bool,
) -> Result<ExitCode, Failure> {
    let principal = whose(to, own);
    let recipient = if to.model {
        models::recipient_of(places, &to.name)?.ok_or_else(|| {
            let message = format!(
                "what `{}` is sent stays on this machine, so there is nothing to agree to",
                one_line(&to.name)
            );
            Failure::usage("consent-needless", message, "")
        })?
    } else {
        gateway.recipient(&to.name).map_err(|error| failed(&error))?
    };
    let agreed = Agreed { principal: &principal, by: &own.user, channel: "command" };
    let record = gateway.agree(&recipient, agreed).map_err(|error| failed(&error))?;
    said("agreed", to, &principal, (record, json))
}

fn revoke(
    gateway: &Gateway,
    to: &ConsentTo,
    own: &Principal,
    json: bool,
) -> Result<ExitCode, Failure> {
    let principal = whose(to, own);
    let kind = if to.model { RecipientKind::Model } else { RecipientKind::Server };
    let agreed = Agreed { principal: &principal, by: &own.user, channel: "command" };
    let record = gateway.revoke_consent((kind, &to.name), agreed);
    let record = record.map_err(|error| failed(&error))?;
    said("revoked", to, &principal, (record, json))
}

/// Who confirms what a server's tools are, or adds it, agrees that what they send goes there. Gives
/// the servers for which that is new.
pub(super) fn along_with<'a>(
    gateway: &Gateway,
    servers: impl IntoIterator<Item = &'a str>,
    channel: &str,
) -> Result<Vec<&'a str>, Failure> {
    let mut new = Vec::new();
    for server in servers {
        if gateway.agree_for_oneself(server, channel).map_err(|error| failed(&error))? {
            new.push(server);
        }
    }
    Ok(new)
}

fn said(
    what: &str,
    to: &ConsentTo,
    principal: &Principal,
    (record, json): (u64, bool),
) -> Result<ExitCode, Failure> {
    let (user, how) = (&principal.user, &principal.authenticated_by);
    let kind = if to.model { "model" } else { "server" };
    if json {
        output::json(&serde_json::json!({
            what: {"user": user, "authenticated_by": how, "kind": kind, "recipient": to.name},
            "record": record,
        }))?;
    } else {
        let may = if what == "agreed" { "may go" } else { "goes no more" };
        output::line(format_args!(
            "{what}: what `{user}` ({how}) sends {may} to {kind} `{}`; record {record}",
            one_line(&to.name)
        ))?;
    }
    Ok(Ended::Done.into())
}

/// Whose data: one's own, or that of whoever presents the key of that name.
fn whose(to: &ConsentTo, own: &Principal) -> Principal {
    let keyed = |name: &String| Principal {
        user: name.as_str().into(),
        groups: std::collections::BTreeSet::new(),
        authenticated_by: "api-key".into(),
    };
    to.user.as_ref().map_or_else(|| own.clone(), keyed)
}

fn failed(error: &ConsentTrouble) -> Failure {
    match error {
        ConsentTrouble::Unknown(_)
        | ConsentTrouble::BuiltIn(_)
        | ConsentTrouble::NotGiven { .. } => Failure::usage(error.code(), error, error.help()),
        ConsentTrouble::Unidentified { .. }
        | ConsentTrouble::Audit(_)
        | ConsentTrouble::Store(_) => Failure::of(error, error.code(), error.help()),
    }
}
