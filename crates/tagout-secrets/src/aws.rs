//! AWS Secrets Manager, by its HTTP API.
mod sign;

use std::collections::BTreeMap;

use serde_json::json;
use tagout_proto::Secret;

pub use sign::{Credentials, Signing, signed};

use crate::{
    Answer, Fetched, HeaderText, Request, SecretError, Source, World,
    fetch::{ANSWER_BYTES, answered, is_passing, sized},
    hidden::Hidden,
};

/// How Secrets Manager is reached. References are local ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// The region: `eu-central-1`.
    pub region: String,
    /// Another address than the region's own: `https://…`, without a path.
    pub endpoint: Option<String>,
    /// The access key's name.
    pub access_key_id: Source,
    /// The access key.
    pub secret_access_key: Source,
    /// A token of a session, where the key is one of a session.
    pub session_token: Option<Source>,
}

const TARGET: &str = "secretsmanager.GetSecretValue";
const KIND: &str = "application/x-amz-json-1.1";

#[derive(serde::Deserialize)]
struct Value {
    #[serde(rename = "SecretString")]
    secret_string: Option<Hidden>,
}

#[derive(serde::Deserialize)]
struct Trouble {
    #[serde(rename = "__type", default)]
    kind: String,
}

impl AwsSettings {
    /// The secret called `name`, or one member of it.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn read(
        &self,
        world: World<'_>,
        (name, field): (&str, Option<&str>),
    ) -> Result<Fetched, SecretError> {
        let of = Source::Aws { name: name.to_owned(), field: field.map(ToOwned::to_owned) };
        let make = || self.request(world, name);
        let busy = |answer: &Answer| {
            is_passing(answer.status)
                || kind_of(answer).is_some_and(|kind| kind.contains("Throttl"))
        };
        let answer = answered(world, &of, make, busy).await?;
        if answer.status != 200 {
            return Err(refused(&of, &answer));
        }
        let value = serde_json::from_slice::<Value>(answer.body.expose());
        let value = value.map_err(|_| SecretError::unusable(&of, "comes from what is no AWS"))?;
        let value = value.secret_string.and_then(|hidden| hidden.0);
        let value = value.ok_or_else(|| SecretError::unusable(&of, "is no text"))?;
        let value = match field {
            None => value,
            Some(field) => member(&of, &value, field)?,
        };
        Ok(Fetched { value: sized(&of, value)?, lease: None })
    }

    /// Signed anew for each try: a signature is of its moment.
    fn request(&self, world: World<'_>, name: &str) -> Result<Request, SecretError> {
        let base = self.endpoint.clone().unwrap_or_else(|| {
            let china = if self.region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://secretsmanager.{}.amazonaws.com{china}", self.region)
        });
        let host = base.split_once("://").map_or(base.as_str(), |(_, host)| host).to_owned();
        let session = self.session_token.as_ref().map(|source| (world.local)(source));
        let credentials = Credentials {
            access_key_id: (world.local)(&self.access_key_id)?,
            secret_access_key: (world.local)(&self.secret_access_key)?,
            session_token: session.transpose()?,
        };
        let body = json!({ "SecretId": name }).to_string().into_bytes();
        let now = world.clock.now();
        let mut headers = vec![
            ("content-type", HeaderText::Plain(KIND.to_owned())),
            ("host", HeaderText::Plain(host)),
            ("x-amz-date", HeaderText::Plain(now.strftime("%Y%m%dT%H%M%SZ").to_string())),
            ("x-amz-target", HeaderText::Plain(TARGET.to_owned())),
        ];
        if let Some(token) = &credentials.session_token {
            let token = Secret::new(token.expose().clone());
            headers.push(("x-amz-security-token", HeaderText::Secret(token)));
        }
        let signing = Signing {
            method: "POST",
            path: "/",
            query: "",
            headers: headers.iter().map(|(name, value)| (*name, value.expose())).collect(),
            body: &body,
            region: &self.region,
            service: "secretsmanager",
            at: now,
        };
        let authorization = signed(&signing, &credentials);
        headers.push(("authorization", HeaderText::Secret(authorization)));
        headers.retain(|(name, _)| *name != "host");
        let body = Some(Secret::new(body));
        Ok(Request { url: format!("{base}/"), headers, body, answer_bytes: ANSWER_BYTES })
    }
}

fn member(of: &Source, whole: &Secret<String>, field: &str) -> Result<Secret<String>, SecretError> {
    let members = serde_json::from_str::<BTreeMap<String, Hidden>>(whole.expose());
    let mut members =
        members.map_err(|_| SecretError::unusable(of, "is no JSON object, so it has no fields"))?;
    let Some(Hidden(value)) = members.remove(field) else {
        return Err(SecretError::missing(of, "has no such field"));
    };
    value.ok_or_else(|| SecretError::unusable(of, "holds no text"))
}

/// The kind of an error, without the name of what defines it.
fn kind_of(answer: &Answer) -> Option<String> {
    let trouble = serde_json::from_slice::<Trouble>(answer.body.expose()).ok()?;
    let kind = trouble.kind.rsplit('#').next()?.to_owned();
    let plain = kind.len() <= 64 && kind.bytes().all(|b| b.is_ascii_alphanumeric());
    Some(kind).filter(|kind| plain && !kind.is_empty())
}

/// What is said of it is the kind alone: messages might hold anything.
fn refused(of: &Source, answer: &Answer) -> SecretError {
    const DENIED: &[&str] = &[
        "AccessDeniedException",
        "DecryptionFailure",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    ];
    let kind = kind_of(answer).unwrap_or_else(|| answer.status.to_string());
    match kind.as_str() {
        "ResourceNotFoundException" => SecretError::missing(of, "is not there"),
        // Marked for deletion.
        "InvalidRequestException" => {
            SecretError::missing(of, "is not to be had: it is being deleted")
        }
        kind if DENIED.contains(&kind) || matches!(answer.status, 401 | 403) => {
            SecretError::denied(of, format!("is not given to Tagout by AWS ({kind})"))
        }
        kind => SecretError::unreachable(of, format!("is not given by AWS, which says {kind}")),
    }
}
