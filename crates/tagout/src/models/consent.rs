//! Before anything of a person goes to a language model elsewhere, the person has agreed to that.
use std::sync::Arc;

use tagout_gateway::{
    Gateway,
    consent::{Agreed, model},
    identity::os_user,
};
use tagout_llm::{
    ModelId, Provider, ProviderError, ProviderInfo, Row, Sink, TurnFuture, TurnRequest,
};
use tagout_proto::Principal;
use tagout_store::{Recipient, Store};
use tagout_terminal::printable;

use super::{Chosen, table};
use crate::{
    clients::confirm::confirm,
    failure::{Ended, Failure},
    places::Places,
    setup::{self, Setup},
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

/// Whether the person who runs this agrees that what they say goes to a model elsewhere. It can be
/// taken back at any time, so it is looked up each time.
pub(crate) struct Consent {
    recipient: Recipient,
    principal: Principal,
    /// The operator has agreed for everybody.
    for_all: bool,
    store: Store,
}

impl Consent {
    /// That to `recipient`.
    fn to(places: &Places, recipient: Recipient) -> Result<Self, Failure> {
        let config = setup::config(places)?;
        let for_all = config.consent.models.contains(&recipient.name);
        let store = Store::open(&places.state.join("state.sqlite")).map_err(|e| unread(&e))?;
        Ok(Self { recipient, principal: os_user(&config), for_all, store })
    }

    /// Whether it is given now, as far as can be looked up.
    pub(crate) fn holds(&self) -> bool {
        let has_agreed = || self.store.has_agreed(&self.principal, &self.recipient);
        self.for_all
            || has_agreed().unwrap_or_else(|error| {
                tracing::error!(%error, "it cannot be looked up who agreed to what");
                false
            })
    }

    /// What the person is asked to agree to.
    pub(crate) fn question(&self) -> String {
        let name = printable(&self.recipient.name);
        format!(
            "`{name}` is a language model elsewhere. What you ask, the definitions of your tools \
             and what\nthey return go there, now and from now on; `tagout consent revoke {name} \
             --model` ends that."
        )
    }

    /// Puts on record that the person has said yes.
    pub(crate) fn give(&self, gateway: &Gateway) -> Result<(), Failure> {
        let by = &self.principal.user;
        let agreed = Agreed { principal: &self.principal, by, channel: "terminal" };
        let given = gateway.agree(&self.recipient, agreed);
        given.map(drop).map_err(|error| Failure::of(&error, error.code(), error.help()))
    }

    /// That it is not given.
    pub(crate) fn missing(&self, ended: Ended) -> Failure {
        let name = printable(&self.recipient.name);
        let error = ProviderError::NotAgreed { model: name.clone() };
        let help = format!("to agree: tagout consent give {name} --model");
        Failure::new(ended, error.code(), error).with_help(&help)
    }
}

fn unread(error: &tagout_store::StoreError) -> Failure {
    Failure::of(error, error.code(), error.help())
}

/// From here on, `chosen` is sent nothing without the consent of whoever runs this; whether there is
/// one is for the caller to see to.
///
/// # Errors
/// It cannot be looked up.
pub(crate) fn guarded(places: &Places, chosen: &mut Chosen) -> Result<(), Failure> {
    let Some(recipient) = chosen.recipient.clone() else { return Ok(()) };
    let consent = Arc::new(Consent::to(places, recipient)?);
    let inner = Arc::clone(&chosen.provider);
    chosen.provider = Arc::new(Guarded { inner, consent: Arc::clone(&consent) });
    chosen.consent = Some(consent);
    Ok(())
}

/// Makes sure that the person who runs this has agreed that what they say goes to each of `chosen`,
/// also at each of their turns from here on. Whoever has not is asked on the terminal, once, if it may
/// be `asked`; without an answer it does not go there.
///
/// # Errors
/// `consent-model`; that it cannot be looked up or put on record.
pub(crate) fn agreed<'a>(
    places: &Places,
    chosen: impl IntoIterator<Item = &'a mut Chosen>,
    asked: bool,
) -> Result<(), Failure> {
    for one in chosen {
        guarded(places, one)?;
        let Some(consent) = &one.consent else { continue };
        if !consent.holds() {
            ask(consent, asked)?;
            // Only what is put on record needs a gateway; none is open by now.
            let gateway = Setup::read(places)?.open(places)?;
            consent.give(&gateway)?;
        }
    }
    Ok(())
}

fn ask(consent: &Consent, asked: bool) -> Result<(), Failure> {
    if !asked {
        return Err(consent.missing(Ended::NeedsApproval));
    }
    confirm(&consent.question(), "Agree?", false).map_err(|failure| {
        let nobody = failure.code() == "confirmation-unavailable";
        consent.missing(if nobody { Ended::NeedsApproval } else { Ended::Refused })
    })
}

/// A model that is sent nothing once the consent to that is taken back.
struct Guarded {
    inner: Arc<dyn Provider>,
    consent: Arc<Consent>,
}

impl Guarded {
    fn may(&self) -> Result<(), ProviderError> {
        let model = || printable(&self.consent.recipient.name);
        if self.consent.holds() { Ok(()) } else { Err(ProviderError::NotAgreed { model: model() }) }
    }
}

impl Provider for Guarded {
    fn is_rule_based(&self) -> bool {
        self.inner.is_rule_based()
    }

    fn describe(&self) -> ProviderInfo {
        self.inner.describe()
    }

    fn turn<'a>(&'a self, request: TurnRequest<'a>) -> TurnFuture<'a> {
        Box::pin(async move {
            self.may()?;
            self.inner.turn(request).await
        })
    }

    fn stream<'a>(&'a self, request: TurnRequest<'a>, sink: &'a mut dyn Sink) -> TurnFuture<'a> {
        Box::pin(async move {
            self.may()?;
            self.inner.stream(request, sink).await
        })
    }
}
