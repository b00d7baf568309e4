//! What servers offer beside tools, and what they ask of people: prompts, resources, completion;
//! elicitation, sampling, roots.
pub(crate) mod asked;
mod complete;
mod content;
pub(crate) mod elicit;
mod fetch;
mod form;
mod formats;
mod offers;
mod request;
pub(crate) mod roots;
pub(crate) mod sample;
pub(crate) mod visit;

pub use complete::Reference;
pub use form::{Field, FieldKind, FieldOption, FieldProblem};
pub use formats::TextFormat;
pub(crate) use offers::Offers;
pub use offers::{PromptArgumentSpec, PromptSpec, ResourceSpec, TemplateSpec};

use rmcp::model::{
    ClientCapabilities, ElicitationCapability, FormElicitationCapability, RootsCapabilities,
    SamplingCapability, UrlElicitationCapability,
};

/// What the host can do for servers.
pub(crate) fn capabilities(attended: bool, samples: bool, roots: bool) -> ClientCapabilities {
    let mut can = ClientCapabilities::default();
    if attended {
        let asks = ElicitationCapability::new()
            .with_form(FormElicitationCapability::new().with_schema_validation(true))
            .with_url(UrlElicitationCapability::new());
        can.elicitation = Some(asks);
    }
    can.sampling = samples.then(SamplingCapability::default);
    can.roots = roots.then(RootsCapabilities::default);
    can
}
