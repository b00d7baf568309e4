//! Servers are told who calls: those whose entry asks for it, call by call.
mod key_file;

use std::path::{Path, PathBuf};

use tagout_assertion::{Claims, LIFETIME_S, META_KEY, PublicKey, Signer, digest_of};
use tagout_proto::{Method, Value, quoted};

pub use self::key_file::KeyFileError;
use crate::{
    Gateway,
    config::Config,
    refusal::Refusal,
    stage::{inspect::Target, record::Cleared},
    state::StateError,
    upstream::{Upstream, composed},
};

/// The file of the key that signs statements, beside that of the key that signs the audit log's
/// head.
#[must_use]
pub fn key_file(head_key: &Path) -> PathBuf {
    head_key.with_file_name("assertion.key")
}

/// The key that verifies statements. The one that makes them is drawn if there is none yet.
///
/// # Errors
/// See [`KeyFileError`].
pub fn public_key(file: &Path) -> Result<PublicKey, KeyFileError> {
    Ok(signer(file)?.public().clone())
}

/// What signs statements, if any server of the configuration gets one.
pub(crate) fn needed_signer(
    config: &Config,
    head_key: &Path,
) -> Result<Option<Signer>, KeyFileError> {
    let wanted = config.servers.values().any(|server| server.assertion.is_some());
    wanted.then(|| signer(&key_file(head_key))).transpose()
}

fn signer(file: &Path) -> Result<Signer, KeyFileError> {
    Ok(Signer::from_seed(key_file::load_or_make(file)?.expose()))
}

/// `params` with the statement about this call, where the server's entry asks for it. Each is good
/// for one request, so it is made anew for each.
///
/// # Errors
/// [`Refusal::State`]: there is no randomness, so no statement; without it the call is not made.
pub(crate) fn stated(
    params: String,
    upstream: &Upstream,
    cleared: &Cleared,
    gateway: &Gateway,
) -> Result<String, Refusal> {
    let (Some(audience), Some(signer)) = (upstream.audience(), &gateway.signer) else {
        return Ok(params);
    };
    let document = composed(&params).map_err(|_| Refusal::State(StateError::Unmade))?;
    let claims = claims(document.root(), cleared, gateway)?;
    let claims = Claims { audience: audience.to_owned(), issuer: signer.issuer(), ..claims };
    let token = quoted(&signer.sign(&claims));
    let meta = document.root().get("_meta").map_or_else(
        || format!("{{{}:{token}}}", quoted(META_KEY)),
        |meta| meta.with(&[(META_KEY, Some(&token))]),
    );
    Ok(document.root().with(&[("_meta", Some(&meta))]))
}

/// What is stated of a call that is sent with `params`, but for who says so and to whom.
fn claims(params: Value<'_>, cleared: &Cleared, gateway: &Gateway) -> Result<Claims, Refusal> {
    let authorised = cleared.authorised();
    let inspected = authorised.decided().inspected();
    let identified = inspected.identified();
    let principal = identified.principal();
    let method = identified.call().method();
    let tool = match inspected.target() {
        Target::Tool { tool, .. } => Some(tool.name.to_string()),
        Target::Session | Target::Resource { .. } | Target::Prompt { .. } | Target::Task { .. } => {
            None
        }
    };
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| Refusal::State(StateError::Unmade))?;
    let now = gateway.clock.now().as_second();
    Ok(Claims {
        issuer: String::new(),
        audience: String::new(),
        user: principal.user.to_string(),
        groups: principal.groups.clone(),
        authenticated_by: principal.authenticated_by.to_string(),
        conversation: identified.conversation().map(ToString::to_string),
        client: Some(identified.origin().client.to_string()),
        approvers: authorised.approval().map(|approval| approval.by.clone()).unwrap_or_default(),
        method: method.as_str().to_owned(),
        tool,
        arguments: digest_of_sent(method, params),
        record: cleared.record().unwrap_or_default(),
        nonce: hex::encode(nonce),
        issued_at: now,
        expires_at: now.saturating_add(LIFETIME_S),
    })
}

/// The digest of a tool's arguments; for other methods, of the parameters without `_meta`.
fn digest_of_sent(method: Method, params: Value<'_>) -> tagout_proto::Digest {
    if method == Method::ToolsCall {
        return digest_of(params.get("arguments"));
    }
    let bare = composed(&params.with(&[("_meta", None)]));
    digest_of(bare.as_ref().ok().map(tagout_proto::Document::root))
}
