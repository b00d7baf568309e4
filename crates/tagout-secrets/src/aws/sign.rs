//! Signature version 4 of AWS's requests
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tagout_proto::Secret;

/// Who signs.
#[derive(Debug)]
pub struct Credentials {
    /// The access key's name.
    pub access_key_id: Secret<String>,
    /// The access key.
    pub secret_access_key: Secret<String>,
    /// What goes with a key of a session; it travels as a header, which is signed like others.
    pub session_token: Option<Secret<String>>,
}

/// What is signed.
#[derive(Debug)]
pub struct Signing<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as it stands in the request.
    pub path: &'a str,
    /// The query, names and values encoded and in order, without its question mark.
    pub query: &'a str,
    /// The headers, names in lower case; in any order.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body.
    pub body: &'a [u8],
    /// The region.
    pub region: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// The moment, which the header `x-amz-date` says too.
    pub at: Timestamp,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The value of the header `Authorization`.
#[must_use]
pub fn signed(signing: &Signing<'_>, credentials: &Credentials) -> Secret<String> {
    let mut headers: Vec<_> =
        signing.headers.iter().map(|(name, value)| (*name, squeezed(value))).collect();
    headers.sort();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let body = hex::encode(Sha256::digest(signing.body));
    let (method, path, query) = (signing.method, signing.path, signing.query);
    let canonical = Secret::new(format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body}"));
    let digest = hex::encode(Sha256::digest(canonical.expose().as_bytes()));
    let day = signing.at.strftime("%Y%m%d").to_string();
    let moment = signing.at.strftime("%Y%m%dT%H%M%SZ");
    let scope = format!("{day}/{}/{}/aws4_request", signing.region, signing.service);
    let text = format!("{ALGORITHM}\n{moment}\n{scope}\n{digest}");
    let first = format!("AWS4{}", credentials.secret_access_key.expose()).into_bytes();
    let mut key = Secret::new(first);
    for part in [day.as_str(), signing.region, signing.service, "aws4_request"] {
        key = Secret::new(hmac(key.expose(), part).to_vec());
    }
    let signature = hex::encode(hmac(key.expose(), &text));
    let who = credentials.access_key_id.expose();
    Secret::new(format!(
        "{ALGORITHM} Credential={who}/{scope}, SignedHeaders={names}, Signature={signature}"
    ))
}

/// Without spaces around it, and with single ones inside.
fn squeezed(value: &str) -> String {
    value.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    // A key of any length is one.
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}
