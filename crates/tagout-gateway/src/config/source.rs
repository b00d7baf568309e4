//! References to secrets, and the tables `[secrets]`, `[vault]` and `[aws]`: where and how they are
//! read.
use std::{path::PathBuf, time::Duration};

pub use tagout_secrets::Source;
use tagout_secrets::{
    aws::AwsSettings,
    vault::{Login, VaultSettings},
};
use toml::Spanned;

use super::{ConfigError, Reader, remote::check_url};

/// How secrets are read.
#[derive(Clone, Debug)]
pub struct SecretSettings {
    /// How long a secret of Vault or AWS is used before it is read again, where they do not say.
    pub refresh: Duration,
    /// Where the passphrase of Tagout's own store is; without one, it has a key.
    pub passphrase: Option<Source>,
    /// How Vault is reached, if it is.
    pub vault: Option<Keeper<VaultSettings>>,
    /// How AWS is reached, if it is.
    pub aws: Option<Keeper<AwsSettings>>,
}

/// A keeper of secrets elsewhere.
#[derive(Clone, Debug)]
pub struct Keeper<T> {
    /// What it is told.
    pub settings: T,
    /// A PEM file of the certificates that sign its own, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Whether its name may lead to an address of a private network.
    pub private_network: bool,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSecrets {
    refresh_s: Option<Spanned<u64>>,
    passphrase: Option<Spanned<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenVault {
    address: Spanned<String>,
    namespace: Option<Spanned<String>>,
    ca: Option<PathBuf>,
    #[serde(default)]
    allow_plain_http: bool,
    #[serde(default)]
    allow_private_network: bool,
    token: Option<Spanned<String>>,
    approle: Option<Spanned<WrittenAppRole>>,
    kubernetes: Option<Spanned<WrittenKubernetes>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAppRole {
    mount: Option<Spanned<String>>,
    role_id: Spanned<String>,
    secret_id: Spanned<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKubernetes {
    mount: Option<Spanned<String>>,
    role: String,
    token_file: Option<PathBuf>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAws {
    region: Spanned<String>,
    endpoint: Option<Spanned<String>>,
    ca: Option<PathBuf>,
    #[serde(default)]
    allow_plain_http: bool,
    #[serde(default)]
    allow_private_network: bool,
    access_key_id: Option<Spanned<String>>,
    secret_access_key: Option<Spanned<String>>,
    session_token: Option<Spanned<String>>,
}

const REFRESH: Duration = Duration::from_secs(300);
/// Where a cluster puts the token of a service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

impl Default for SecretSettings {
    fn default() -> Self {
        Self { refresh: REFRESH, passphrase: None, vault: None, aws: None }
    }
}

impl SecretSettings {
    /// What Tagout shows keepers of secrets, and for what.
    pub(crate) fn credentials(&self) -> Vec<(Source, &'static str)> {
        let mut all = Vec::new();
        if let Some(vault) = &self.vault {
            match &vault.settings.login {
                Login::Token(token) => all.push((token.clone(), "Vault: the token")),
                Login::AppRole { role_id, secret_id, .. } => {
                    all.push((role_id.clone(), "Vault: the role"));
                    all.push((secret_id.clone(), "Vault: the role's proof"));
                }
                Login::Kubernetes { token_file, .. } => {
                    all.push((Source::File(token_file.clone()), "Vault: the service account"));
                }
            }
        }
        if let Some(aws) = &self.aws {
            let aws = &aws.settings;
            all.push((aws.access_key_id.clone(), "AWS: the access key's name"));
            all.push((aws.secret_access_key.clone(), "AWS: the access key"));
            all.extend(aws.session_token.clone().map(|of| (of, "AWS: the session's token")));
        }
        all
    }
}

impl Reader<'_> {
    /// A reference to a secret; the text of anything else is not repeated, as it may be one.
    pub(super) fn source(
        &self,
        what: &str,
        value: &Spanned<String>,
    ) -> Result<Source, ConfigError> {
        match self.source_or_text(what, value)? {
            Some(source) => Ok(source),
            None => {
                let problem = format!("the value of {what} is no reference");
                let help = "secrets do not stand in this file: write \"secret://NAME\" for what \
                            `tagout secret set NAME` keeps, \"env://NAME\" for a variable of the \
                            environment, \"file:///PATH\" for a file, \
                            \"vault://MOUNT/PATH#FIELD\" or \"aws://NAME\"";
                Err(self.error(problem, Some(help.to_owned()), Some(value.span())))
            }
        }
    }

    /// A reference, or nothing where the text has the form of none.
    pub(super) fn source_or_text(
        &self,
        what: &str,
        value: &Spanned<String>,
    ) -> Result<Option<Source>, ConfigError> {
        Source::parse(value.get_ref(), self.folder).map_err(|wrong| {
            let problem = format!("the value of {what} is no reference: {wrong}");
            self.error(problem, None, Some(value.span()))
        })
    }

    /// A reference to what is on this machine, for what cannot wait for an answer from elsewhere.
    pub(super) fn local_source(
        &self,
        what: &str,
        value: &Spanned<String>,
    ) -> Result<Source, ConfigError> {
        let source = self.source(what, value)?;
        if source.is_local() {
            return Ok(source);
        }
        let problem = format!("{what} cannot be fetched from elsewhere");
        let help = "it is needed before anything can be asked: use \"secret://\", \"env://\" or \
                    \"file://\"";
        Err(self.error(problem, Some(help.to_owned()), Some(value.span())))
    }

    pub(super) fn secrets(
        &self,
        written: &WrittenSecrets,
        (vault, aws): (Option<WrittenVault>, Option<WrittenAws>),
    ) -> Result<SecretSettings, ConfigError> {
        let mut settings = SecretSettings::default();
        if let Some(n) = self.within("refresh_s", written.refresh_s.as_ref(), 5..=86_400)? {
            settings.refresh = Duration::from_secs(n);
        }
        if let Some(passphrase) = &written.passphrase {
            let source = self.local_source("`passphrase`", passphrase)?;
            if matches!(source, Source::Stored(_)) {
                let problem = "the store's passphrase cannot stand in the store".to_owned();
                return Err(self.error(problem, None, Some(passphrase.span())));
            }
            settings.passphrase = Some(source);
        }
        settings.vault = vault.map(|vault| self.vault(vault)).transpose()?;
        settings.aws = aws.map(|aws| self.aws(aws)).transpose()?;
        Ok(settings)
    }

    fn vault(&self, written: WrittenVault) -> Result<Keeper<VaultSettings>, ConfigError> {
        let address = self.keeper_url(&written.address, written.allow_plain_http)?;
        let namespace = match written.namespace {
            None => None,
            Some(namespace) => {
                let text = namespace.get_ref().trim_matches('/').to_owned();
                let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
                if text.is_empty() || !text.bytes().all(fits) {
                    let problem = "this cannot name a namespace".to_owned();
                    return Err(self.error(problem, None, Some(namespace.span())));
                }
                Some(text)
            }
        };
        let at = written.address.span();
        let login = match (written.token, written.approle, written.kubernetes) {
            (Some(token), None, None) => Login::Token(self.local_source("`token`", &token)?),
            (None, Some(role), None) => self.approle(role.into_inner())?,
            (None, None, Some(account)) => self.kubernetes(account.into_inner())?,
            (_, _, _) => {
                let problem = "Vault is shown one of `token`, `approle` and `kubernetes`";
                let help = "write `token = \"env://VAULT_TOKEN\"`, or a table `[vault.approle]`";
                return Err(self.error(problem.to_owned(), Some(help.to_owned()), Some(at)));
            }
        };
        Ok(Keeper {
            settings: VaultSettings { address, namespace, login },
            ca: written.ca.map(|ca| self.folder.join(ca)),
            private_network: written.allow_private_network,
        })
    }

    fn approle(&self, role: WrittenAppRole) -> Result<Login, ConfigError> {
        Ok(Login::AppRole {
            mount: self.mount(role.mount, "approle")?,
            role_id: self.local_source("`role_id`", &role.role_id)?,
            secret_id: self.local_source("`secret_id`", &role.secret_id)?,
        })
    }

    fn kubernetes(&self, account: WrittenKubernetes) -> Result<Login, ConfigError> {
        Ok(Login::Kubernetes {
            mount: self.mount(account.mount, "kubernetes")?,
            role: account.role,
            token_file: self.folder.join(account.token_file.unwrap_or(SERVICE_ACCOUNT.into())),
        })
    }

    /// Where a login method is mounted: segments of a path.
    fn mount(&self, written: Option<Spanned<String>>, own: &str) -> Result<String, ConfigError> {
        let Some(mount) = written else { return Ok(own.to_owned()) };
        let text = mount.get_ref();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        let segments = text.split('/').all(|part| part.bytes().any(|b| b != b'.'));
        if text.bytes().all(fits) && segments {
            return Ok(mount.into_inner());
        }
        let problem = "this cannot be where a login method is mounted".to_owned();
        Err(self.error(problem, None, Some(mount.span())))
    }

    fn aws(&self, written: WrittenAws) -> Result<Keeper<AwsSettings>, ConfigError> {
        let region = written.region.get_ref();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || region.len() > 64 || !region.bytes().all(fits) {
            let problem = "this is no region of AWS".to_owned();
            let help = "write it as AWS does: `region = \"eu-central-1\"`".to_owned();
            return Err(self.error(problem, Some(help), Some(written.region.span())));
        }
        let plain = written.allow_plain_http;
        let endpoint = written.endpoint.map(|url| self.keeper_url(&url, plain)).transpose()?;
        let reference = |key: &str, value: Option<Spanned<String>>, variable: &str| match value {
            Some(value) => self.local_source(&format!("`{key}`"), &value),
            None => Ok(Source::Env(variable.to_owned())),
        };
        // A session's token goes with the key: one that is named brings its own, or none.
        let named = written.access_key_id.is_some() || written.secret_access_key.is_some();
        let session_token = match written.session_token {
            Some(value) => Some(self.local_source("`session_token`", &value)?),
            None if named => None,
            None => Some(Source::Env("AWS_SESSION_TOKEN".to_owned()))
                .filter(|_| std::env::var_os("AWS_SESSION_TOKEN").is_some()),
        };
        let settings = AwsSettings {
            region: region.clone(),
            endpoint,
            access_key_id: reference("access_key_id", written.access_key_id, "AWS_ACCESS_KEY_ID")?,
            secret_access_key: reference(
                "secret_access_key",
                written.secret_access_key,
                "AWS_SECRET_ACCESS_KEY",
            )?,
            session_token,
        };
        let ca = written.ca.map(|ca| self.folder.join(ca));
        Ok(Keeper { settings, ca, private_network: written.allow_private_network })
    }

    /// A URL of nothing but scheme, host and port.
    fn keeper_url(&self, url: &Spanned<String>, plain: bool) -> Result<String, ConfigError> {
        let wrong = |problem: &str, help: &str| {
            Err(self.error(problem.to_owned(), Some(help.to_owned()), Some(url.span())))
        };
        if let Err((problem, help)) = check_url(url.get_ref(), plain) {
            return wrong(problem, help);
        }
        let text = url.get_ref().trim_end_matches('/');
        let (_, authority) = text.split_once("://").unwrap_or_default();
        if authority.contains(['/', '?']) {
            let help = "leave out the path: Tagout adds it";
            return wrong("the address has a path", help);
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parsed(text: &str) -> Result<SecretSettings, String> {
        let config = Config::parse("tagout.toml", text, Path::new("/etc/tagout"));
        config.map(|config| config.secrets).map_err(|error| format!("{error} {error:?}"))
    }

    #[test]
    fn keepers_are_read() {
        let text = "[vault]\naddress = \"https://vault.example:8200/\"\nnamespace = \"/team/\"\n\
                    [vault.kubernetes]\nrole = \"tagout\"\n\
                    [aws]\nregion = \"eu-central-1\"\naccess_key_id = \"secret://id\"\n\
                    [secrets]\nrefresh_s = 60\npassphrase = \"env://WORDS\"";
        let settings = parsed(text).unwrap();
        assert_eq!(settings.refresh, Duration::from_secs(60));
        assert_eq!(settings.passphrase, Some(Source::Env("WORDS".to_owned())));
        let vault = settings.vault.unwrap().settings;
        assert_eq!(vault.address, "https://vault.example:8200");
        assert_eq!(vault.namespace.as_deref(), Some("team"));
        let Login::Kubernetes { mount, token_file, .. } = vault.login else { panic!() };
        assert_eq!((mount.as_str(), token_file), ("kubernetes", PathBuf::from(SERVICE_ACCOUNT)));
        let aws = settings.aws.unwrap().settings;
        assert_eq!(aws.access_key_id.to_string(), "secret://id");
        assert_eq!(aws.secret_access_key.to_string(), "env://AWS_SECRET_ACCESS_KEY");
        assert_eq!(aws.session_token, None);
    }

    #[test]
    fn what_is_wrong_is_said_without_what_may_be_secret() {
        let vault = "[vault]\naddress = \"https://v.example\"\n";
        for (text, problem) in [
            (format!("{vault}token = \"hunter2hunter2\""), "no reference"),
            (format!("{vault}token = \"vault://kv/hunter2hunter2#x\""), "cannot be fetched"),
            (vault.to_owned(), "one of `token`"),
            (format!("{vault}token = \"env://A\"\n[vault.kubernetes]\nrole = \"x\""), "one of"),
            ("[vault]\naddress = \"http://v.example\"\ntoken = \"env://A\"".to_owned(), "plain"),
            ("[vault]\naddress = \"https://v.example/v1\"\ntoken = \"env://A\"".into(), "a path"),
            (
                format!(
                    "{vault}[vault.approle]\nmount = \"../x\"\nrole_id = \"env://A\"\nsecret_id = \"env://B\""
                ),
                "mounted",
            ),
            ("[aws]\nregion = \"Frankfurt am Main\"".to_owned(), "region"),
            (
                "[aws]\nregion = \"x\"\nsecret_access_key = \"hunter2hunter2\"".into(),
                "no reference",
            ),
            ("[secrets]\npassphrase = \"secret://x\"".to_owned(), "cannot stand"),
            ("[secrets]\npassphrase = \"hunter2hunter2\"".to_owned(), "no reference"),
            ("[secrets]\nrefresh_s = 1".to_owned(), "refresh_s"),
            (
                "[server.x]\ncommand = [\"/bin/x\"]\nenv = { A = \"secret://hunter2 hunter2\" }"
                    .into(),
                "no reference",
            ),
            (
                "[server.x]\ncommand = [\"/bin/x\"]\nsecret_files = { a = \"hunter2hunter2\" }"
                    .into(),
                "no reference",
            ),
            (
                "[server.x]\ncommand = [\"/bin/x\"]\nsecret_files = { \"../a\" = \"env://A\" }"
                    .into(),
                "file's name",
            ),
            (
                "[server.x]\nurl = \"https://x.example\"\nsecret_files = { a = \"env://A\" }"
                    .into(),
                "takes no",
            ),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }
}
