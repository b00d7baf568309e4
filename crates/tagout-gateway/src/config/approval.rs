//! The `[approval]` part: how long questions stay open, whose answers count, and the webhook.
use std::time::Duration;

use toml::Spanned;

use super::{
    ConfigError, Reader,
    remote::{Source, check_url},
};
use crate::approval::is_public_key;

/// How approvals are asked for beyond the conversation.
#[derive(Clone, Debug)]
pub struct Approval {
    /// How long a question stays open, and how long an approval for a conversation holds.
    pub keep: Duration,
    /// The public keys of those whose answers count; where it is empty, everybody's who is enrolled.
    pub approvers: Vec<String>,
    /// Where questions are told, and answers come from.
    pub webhook: Option<Webhook>,
}

/// A chat system, or whatever stands before it.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where questions are sent.
    pub url: String,
    /// Where the secret is that signs both ways.
    pub secret: Source,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenApproval {
    keep_s: Option<Spanned<u64>>,
    #[serde(default)]
    approvers: Vec<Spanned<String>>,
    webhook: Option<WrittenWebhook>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWebhook {
    url: Spanned<String>,
    secret: Spanned<String>,
}

const KEEP: Duration = Duration::from_secs(900);

impl Default for Approval {
    fn default() -> Self {
        Self { keep: KEEP, approvers: Vec::new(), webhook: None }
    }
}

impl Reader<'_> {
    pub(super) fn approval(&self, written: WrittenApproval) -> Result<Approval, ConfigError> {
        let mut approval = Approval::default();
        if let Some(seconds) = self.within("keep_s", written.keep_s.as_ref(), 10..=3600)? {
            approval.keep = Duration::from_secs(seconds);
        }
        for key in written.approvers {
            if !is_public_key(key.get_ref()) {
                let help = "write the public key that `tagout approver list` shows: `ed25519:…`";
                let problem = "this is no approver's public key".to_owned();
                return Err(self.error(problem, Some(help.to_owned()), Some(key.span())));
            }
            approval.approvers.push(key.into_inner());
        }
        if let Some(webhook) = written.webhook {
            check_url(webhook.url.get_ref(), false).map_err(|(problem, help)| {
                let at = Some(webhook.url.span());
                self.error(problem.to_owned(), Some(help.to_owned()), at)
            })?;
            let secret = self.source("`secret`", &webhook.secret)?;
            approval.webhook = Some(Webhook { url: webhook.url.into_inner(), secret });
        }
        Ok(approval)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parsed(text: &str) -> Result<Approval, String> {
        let config = Config::parse("tagout.toml", text, Path::new("/etc/tagout"));
        config.map(|config| config.approval).map_err(|error| format!("{error} {error:?}"))
    }

    #[test]
    fn what_is_written_is_checked() {
        let key = format!("ed25519:{}", "0a".repeat(32));
        let text = format!(
            "[approval]\nkeep_s = 60\napprovers = [\"{key}\"]\n[approval.webhook]\n\
             url = \"https://chat.example.org/x\"\nsecret = \"file://hook.secret\"\n"
        );
        let approval = parsed(&text).unwrap();
        assert_eq!((approval.keep, approval.approvers), (Duration::from_secs(60), vec![key]));
        let webhook = approval.webhook.unwrap();
        assert_eq!(webhook.secret, Source::File("/etc/tagout/hook.secret".into()));
        for wrong in [
            "[approval]\nkeep_s = 3601",
            "[approval]\nkeeps = 60",
            "[approval]\napprovers = [\"ann\"]",
            "[approval.webhook]\nurl = \"https://a.example/\"",
            "[approval.webhook]\nurl = \"http://a.example/\"\nsecret = \"env://S\"",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        let bare = "[approval.webhook]\nurl = \"https://a.example/\"\nsecret = \"hunter2hunter2\"";
        let error = parsed(bare).unwrap_err();
        assert!(error.contains("no reference") && !error.contains("hunter2"), "{error}");
    }
}
