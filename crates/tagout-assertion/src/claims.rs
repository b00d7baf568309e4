//! What is stated.
use std::collections::BTreeSet;

use tagout_proto::Digest;

/// How long a statement is good, in seconds: one call's way to its server.
pub const LIFETIME_S: i64 = 60;

/// Somebody who said yes to a call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ApprovedBy {
    /// Which user that is.
    pub user: String,
    /// The name of the key that the answer was given with; nothing where the call's own user
    /// answered in the client or on the gateway's terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// By which way: `terminal`, `elicitation`, `command`, `webhook`; `earlier` in the same call,
    /// `granted` with an earlier one.
    pub channel: String,
}

/// What the gateway states of one call. Times are seconds since 1970, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Claims {
    /// Which gateway says so: `tagout:` and its key's identifier.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The server that it is for, and no other: its name in the gateway's configuration, or what
    /// its entry says in place of that.
    #[serde(rename = "aud")]
    pub audience: String,
    /// On whose behalf the call is made.
    #[serde(rename = "sub")]
    pub user: String,
    /// The user's groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// How the user was authenticated: `os-user`, `api-key`.
    #[serde(rename = "auth")]
    pub authenticated_by: String,
    /// The conversation; for the server to tell apart, not to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// What the client calls itself. Nobody has verified that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The people who approved this call; empty where nobody was asked.
    #[serde(default)]
    pub approvers: Vec<ApprovedBy>,
    /// The method: `tools/call`.
    pub method: String,
    /// The tool's name as the server spells it; nothing for other methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The digest of the tool's arguments; for other methods, of the parameters without `_meta`.
    #[serde(rename = "args")]
    pub arguments: Digest,
    /// The call's number on the gateway's record.
    pub record: u64,
    /// 128 random bits, so that it can be used once.
    #[serde(rename = "jti")]
    pub nonce: String,
    /// When it was made.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// From when on it is no longer good.
    #[serde(rename = "exp")]
    pub expires_at: i64,
}
