//! The `[consent]` part: servers and models to which everybody's data may go, because whoever runs the gateway
//! has agreed to that for everybody.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tagout_proto::ServerName;
use toml::Spanned;

use super::{ConfigError, Reader, Server};

/// What the operator has agreed to for everybody.
#[derive(Clone, Debug, Default)]
pub struct ConsentForAll {
    /// Servers.
    pub agreed: BTreeSet<ServerName>,
    /// Language models, as `PROVIDER:NAME`.
    pub models: BTreeSet<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenConsent {
    #[serde(default)]
    agreed: Vec<Spanned<String>>,
    #[serde(default)]
    models: Vec<Spanned<String>>,
}

impl Reader<'_> {
    pub(super) fn consent(
        &self,
        written: &WrittenConsent,
        servers: &BTreeMap<ServerName, Arc<Server>>,
    ) -> Result<ConsentForAll, ConfigError> {
        let known = |name: &Spanned<String>| {
            let server = servers.keys().find(|server| server.as_str() == name.get_ref());
            server.cloned().ok_or_else(|| {
                let problem = format!("there is no server {:?}", name.get_ref());
                let help = "write the name of a table `[server.NAME]`".to_owned();
                self.error(problem, Some(help), Some(name.span()))
            })
        };
        let agreed = written.agreed.iter().map(known).collect::<Result<_, _>>()?;
        let whole = |name: &Spanned<String>| {
            let parts = name.get_ref().split_once(':');
            if parts.is_some_and(|(provider, name)| !provider.is_empty() && !name.is_empty()) {
                return Ok(name.get_ref().clone());
            }
            let problem = format!("{:?} names no model", name.get_ref());
            let help = "write PROVIDER:NAME, as for `--model`".to_owned();
            Err(self.error(problem, Some(help), Some(name.span())))
        };
        let models = written.models.iter().map(whole).collect::<Result<_, _>>()?;
        Ok(ConsentForAll { agreed, models })
    }
}
