//! Before anything of a person goes to a language model elsewhere, the person has agreed to that.
use std::sync::Arc;

use tagout_gateway::{
    Gateway,
    consent::{Agreed, model},
    identity::os_user,
};
use tagout_llm::{ModelId, Row};
use tagout_store::Recipient;
use tagout_terminal::printable;

use super::{Chosen, table};
use crate::{
    clients::confirm::confirm,
    failure::{Ended, Failure},
    places::Places,
    setup::Setup,
};

/// Who gets to see what the model is sent; nobody where that stays on this machine.
pub(super) fn recipient(row: &Row, id: &ModelId) -> Option<Recipient> {
    (!row.stays_here(id.name())).then(|| model(id.as_str(), &row.url))
}

/// The recipient behind `name`, `PROVIDER:NAME`, as the provider is configured now; nothing where what
/// it is sent stays on this machine.
pub(crate) fn recipient_of(places: &Places, name: &str) -> Result<Option<Recipient>, Failure> {
    let help = "see `tagout models ls`";
    let unknown = |error: String| Failure::usage("model-unknown", error, help);
    let id: ModelId =
        name.parse().map_err(|error: tagout_llm::BadModelId| unknown(error.to_string()))?;
    let providers = table::providers(places)?;
    let row = providers.find(id.provider());
    let row = row.ok_or_else(|| unknown(format!("there is no provider `{}`", id.provider())))?;
    Ok(recipient(row, &id))
}

/// Makes sure that the person who runs this has agreed that what they say goes to each of `chosen`.
/// Whoever has not is asked on the terminal, once, if it may be `asked`; without an answer it does not
/// go there.
///
/// # Errors
/// `consent-model`; that it cannot be looked up or put on record.
pub(crate) fn agreed<'a>(
    places: &Places,
    chosen: impl IntoIterator<Item = &'a Chosen>,
    asked: bool,
) -> Result<(), Failure> {
    let recipients = chosen.into_iter().filter_map(|one| one.recipient.as_ref());
    let recipients: Vec<_> = recipients.collect();
    if recipients.is_empty() {
        return Ok(());
    }
    let setup = Setup::read(places)?;
    let for_all = setup.config.consent.models.clone();
    let principal = os_user(&setup.config);
    let gateway = setup.open(places)?;
    for recipient in recipients {
        let unread =
            |error: tagout_store::StoreError| Failure::of(&error, error.code(), error.help());
        let agreed = for_all.contains(&recipient.name)
            || gateway.store().has_agreed(&principal, recipient).map_err(unread)?;
        if !agreed {
            ask(recipient, asked)?;
            let by = Agreed { principal: &principal, by: &principal.user, channel: "terminal" };
            keep(&gateway, recipient, by)?;
        }
    }
    Ok(())
}

fn ask(recipient: &Recipient, asked: bool) -> Result<(), Failure> {
    let name = printable(&recipient.name);
    let refused = |ended| {
        let message = format!("you have not agreed that what you say goes to `{name}`");
        let help = format!("to agree: tagout consent give {name} --model");
        Failure::new(ended, "consent-model", message).with_help(&help)
    };
    if !asked {
        return Err(refused(Ended::NeedsApproval));
    }
    let shown = format!(
        "`{name}` is a language model elsewhere. What you ask, the definitions of your tools and what\n\
         they return go there, now and from now on; `tagout consent revoke {name} --model` ends that."
    );
    confirm(&shown, "Agree?", false).map_err(|failure| {
        let nobody = failure.code() == "confirmation-unavailable";
        refused(if nobody { Ended::NeedsApproval } else { Ended::Refused })
    })
}

fn keep(gateway: &Arc<Gateway>, recipient: &Recipient, by: Agreed<'_>) -> Result<(), Failure> {
    let agreed = gateway.agree(recipient, by);
    agreed.map(drop).map_err(|error| Failure::of(&error, error.code(), error.help()))
}
