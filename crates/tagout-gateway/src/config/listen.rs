//! The `[http]` part: where clients are served over HTTP, and as whom the gateway shows itself.
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use toml::Spanned;

use super::{ConfigError, Reader};

/// Where and how clients are served over HTTP.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// The certificate's chain and its key, PEM files; without them only loopback is served.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Names by which clients may call it, beside its address.
    pub hosts: Vec<String>,
    /// Origins of web pages that may call it, such as `https://console.example.org`.
    pub origins: Vec<String>,
    /// How long a session may be idle.
    pub idle: Duration,
    /// Sessions of one principal at once.
    pub sessions: usize,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenListen {
    listen: Option<Spanned<String>>,
    certificate: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    #[serde(default)]
    hosts: Vec<Spanned<String>>,
    #[serde(default)]
    origins: Vec<Spanned<String>>,
    idle_s: Option<Spanned<u64>>,
    sessions: Option<Spanned<u64>>,
}

/// A port that no well-known service has.
const PORT: u16 = 7411;
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Each may have a process of every server.
const SESSIONS: usize = 256;

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            tls: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            idle: IDLE,
            sessions: SESSIONS,
        }
    }
}

impl Reader<'_> {
    pub(super) fn listen(&self, written: WrittenListen) -> Result<Listen, ConfigError> {
        let mut listen = Listen::default();
        if let Some(address) = written.listen {
            listen.address = address.get_ref().parse().map_err(|_| {
                let problem = format!("`listen` is no address: {:?}", address.get_ref());
                let help = "write an IP address and a port: `listen = \"127.0.0.1:7411\"`";
                self.error(problem, Some(help.to_owned()), Some(address.span()))
            })?;
        }
        listen.tls = match (written.certificate, written.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((
                self.folder.join(certificate.into_inner()),
                self.folder.join(key.into_inner()),
            )),
            (Some(one), None) | (None, Some(one)) => {
                let problem = "`certificate` and `key` go together".to_owned();
                return Err(self.error(problem, None, Some(one.span())));
            }
        };
        for host in &written.hosts {
            let text = host.get_ref();
            let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
            if text.is_empty() || !text.chars().all(plain) {
                let problem = format!("{text:?} is no host name");
                let help = "write a name or an address, with no scheme and no path".to_owned();
                return Err(self.error(problem, Some(help), Some(host.span())));
            }
        }
        for origin in &written.origins {
            let text = origin.get_ref();
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '@', '*', ' '])) {
                let problem = format!("{text:?} is no origin");
                let help = "write scheme and host: `https://console.example.org`".to_owned();
                return Err(self.error(problem, Some(help), Some(origin.span())));
            }
        }
        listen.hosts = written.hosts.into_iter().map(Spanned::into_inner).collect();
        listen.origins = written.origins.into_iter().map(Spanned::into_inner).collect();
        if let Some(seconds) = self.within("idle_s", written.idle_s.as_ref(), 10..=86_400)? {
            listen.idle = Duration::from_secs(seconds);
        }
        if let Some(n) = self.within("sessions", written.sessions.as_ref(), 1..=4096)? {
            listen.sessions = usize::try_from(n).unwrap_or(SESSIONS);
        }
        Ok(listen)
    }
}
