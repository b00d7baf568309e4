//! The `[approval]` part: how long questions stay open, whose answers count, and the webhook.
use std::{collections::BTreeSet, time::Duration};

use tagout_store::{KeyGroups, KeyName};
use toml::Spanned;

use super::{ConfigError, Reader, Source, remote::check_url};
use crate::approval::is_public_key;

/// How approvals are asked for beyond the conversation.
#[derive(Clone, Debug)]
pub struct Approval {
    /// How long a question stays open, and how long an approval for a conversation holds.
    pub keep: Duration,
    /// Those whose answers count; where there is nobody, everybody's who is enrolled.
    pub approvers: Vec<Listed>,
    /// Where questions are told, and answers come from.
    pub webhook: Option<Webhook>,
}

/// Somebody whose answers count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The public key.
    pub key: String,
    /// Who it is; where nothing is said, whoever enrolled them has said it.
    pub person: Option<ListedPerson>,
}

/// Whose word a key's is, whatever the one who enrolled it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPerson {
    /// The user.
    pub user: String,
    /// The groups that this person approves for.
    pub groups: BTreeSet<String>,
}

/// A chat system, or whatever stands before it.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where questions are sent.
    pub url: String,
    /// Where the secret is that signs both ways.
    pub secret: Source,
    /// Whether its name may lead to an address of a private network, or to this machine.
    pub private_network: bool,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenApproval {
    keep_s: Option<Spanned<u64>>,
    #[serde(default)]
    approvers: Vec<Spanned<WrittenApprover>>,
    webhook: Option<WrittenWebhook>,
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "a public key, or a table with `key`, `user` and `groups`")]
enum WrittenApprover {
    Key(String),
    Person(WrittenPerson),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPerson {
    key: String,
    user: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWebhook {
    url: Spanned<String>,
    secret: Spanned<String>,
    #[serde(default)]
    allow_private_network: bool,
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
        for one in written.approvers {
            let at = one.span();
            let wrong = |(problem, help): (&str, &str)| {
                self.error(problem.to_owned(), Some(help.to_owned()), Some(at.clone()))
            };
            let listed = one.into_inner().listed().map_err(wrong)?;
            if approval.approvers.iter().any(|other| other.key == listed.key) {
                return Err(wrong(("this key stands here twice", "one key is one person")));
            }
            approval.approvers.push(listed);
        }
        if let Some(webhook) = written.webhook {
            check_url(webhook.url.get_ref(), false).map_err(|(problem, help)| {
                let at = Some(webhook.url.span());
                self.error(problem.to_owned(), Some(help.to_owned()), at)
            })?;
            let secret = self.local_source("`secret`", &webhook.secret)?;
            let private_network = webhook.allow_private_network;
            let url = webhook.url.into_inner();
            approval.webhook = Some(Webhook { url, secret, private_network });
        }
        Ok(approval)
    }
}

impl WrittenApprover {
    /// What is meant; or what is wrong, and what to do about it.
    fn listed(self) -> Result<Listed, (&'static str, &'static str)> {
        let (key, person) = match self {
            Self::Key(key) => (key, None),
            Self::Person(WrittenPerson { key, user, groups }) => {
                let user = user.parse::<KeyName>();
                let user = user.map_err(|_| ("this is no user's name", "write it as rules do"))?;
                let groups = KeyGroups::new(groups);
                let groups = groups.map_err(|_| ("these are no groups", "name each, once"))?;
                let (user, groups) = (user.to_string(), groups.as_set().clone());
                (key, Some(ListedPerson { user, groups }))
            }
        };
        if is_public_key(&key) {
            return Ok(Listed { key, person });
        }
        let help = "write the public key that `tagout approver list` shows: `ed25519:…`";
        Err(("this is no approver's public key", help))
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
        let listed = Listed { key: key.clone(), person: None };
        assert_eq!((approval.keep, approval.approvers), (Duration::from_secs(60), vec![listed]));
        let webhook = approval.webhook.unwrap();
        assert_eq!(webhook.secret, Source::File("/etc/tagout/hook.secret".into()));
        let person = |more: &str| {
            parsed(&format!(
                "[approval]\napprovers = [{{ key = \"{key}\", user = \"bob\"{more} }}]"
            ))
        };
        let listed = person(", groups = [\"night\"]").unwrap().approvers.remove(0);
        let bob = ListedPerson { user: "bob".to_owned(), groups: ["night".to_owned()].into() };
        assert_eq!(listed, Listed { key: key.clone(), person: Some(bob) });
        assert!(person("").is_ok());
        let error = person(", group = [\"night\"]").unwrap_err();
        assert!(error.contains("a table with `key`, `user` and `groups`"), "{error}");
        let twice =
            format!("[approval]\napprovers = [\"{key}\", {{ key = \"{key}\", user = \"a\" }}]");
        assert!(parsed(&twice).unwrap_err().contains("twice"));
        for wrong in [
            "[approval]\napprovers = [{ key = \"ann\", user = \"ann\" }]",
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
