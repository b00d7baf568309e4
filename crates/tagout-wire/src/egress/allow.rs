//! Which hosts and ports may be reached: the key `reach` of a server's entry.
use std::fmt;

use super::host::{Host, HostError, split};

/// A list of hosts and ports. Empty, it allows nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Allow {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Entry {
    hosts: Hosts,
    port: u16,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Hosts {
    One(Host),
    /// Every name below this one, at any depth; with its dot in front.
    Below(String),
    /// Every name and every address that is public.
    Any,
}

/// What a list says about a host and port that stand on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permit {
    /// It may be reached where it is public.
    Public,
    /// Somebody has named this very address, or `localhost`: it may be private.
    Named,
}

/// Why an entry of the list makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AllowError {
    /// It has no port, or none that can be.
    #[error("`{entry}` has no port: write `HOST:PORT`, for instance `api.example.com:443`")]
    Port {
        /// As it was written.
        entry: String,
    },
    /// It is a URL.
    #[error("`{entry}` is a URL: write host and port alone, `api.example.com:443`")]
    Url {
        /// As it was written.
        entry: String,
    },
    /// Its host is none.
    #[error("`{entry}` names no host: {problem}")]
    Host {
        /// As it was written.
        entry: String,
        /// What is wrong.
        problem: HostError,
    },
    /// The star stands where it means nothing.
    #[error("`{entry}`: a star stands for whole parts at the beginning only: `*.example.com:443`")]
    Star {
        /// As it was written.
        entry: String,
    },
    /// The address can never be reached, whatever the list says.
    #[error("`{entry}` is a {class} address, which no server is let to")]
    Never {
        /// As it was written.
        entry: String,
        /// What it is for.
        class: &'static str,
    },
    /// There are too many.
    #[error("there are more than {most} entries")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
}

impl Allow {
    /// The most entries of a list.
    pub const MOST: usize = 256;

    /// Reads a list of `HOST:PORT`. A host is a name, `*.NAME` for all names below it (not itself),
    /// an address, or `*` for whatever is public.
    ///
    /// # Errors
    /// The first entry that makes no sense, by variant, see [`AllowError`].
    pub fn parse<T: AsRef<str>>(written: impl IntoIterator<Item = T>) -> Result<Self, AllowError> {
        let mut entries = Vec::new();
        for entry in written {
            if entries.len() == Self::MOST {
                return Err(AllowError::TooMany { most: Self::MOST });
            }
            entries.push(Entry::parse(entry.as_ref())?);
        }
        Ok(Self { entries })
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the list says about `host` at `port`; nothing if it does not stand on it.
    #[must_use]
    pub fn permits(&self, host: &Host, port: u16) -> Option<Permit> {
        let here = || self.entries.iter().filter(|entry| entry.port == port);
        let named = |entry: &Entry| entry.hosts == Hosts::One(host.clone());
        let explicit = matches!(host, Host::Address(_)) || host.is_localhost();
        if explicit && here().any(named) {
            return Some(Permit::Named);
        }
        here().any(|entry| entry.hosts.hold(host)).then_some(Permit::Public)
    }
}

impl Hosts {
    fn hold(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::One(one), host) => one == host,
            (Self::Below(suffix), Host::Name(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str())
            }
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, AllowError> {
        let entry = || text.chars().take(300).collect::<String>();
        if text.contains("://") || text.contains(['/', '@', '?', '#']) {
            return Err(AllowError::Url { entry: entry() });
        }
        let Some((host, Some(port))) = split(text) else {
            return Err(AllowError::Port { entry: entry() });
        };
        let read = |host: &str| {
            Host::parse(host).map_err(|problem| AllowError::Host { entry: entry(), problem })
        };
        let hosts = match host.strip_prefix('*') {
            Some("") => Hosts::Any,
            Some(rest) => match rest.strip_prefix('.').map(read).transpose()? {
                Some(Host::Name(name)) => Hosts::Below(format!(".{name}")),
                Some(Host::Address(_)) | None => return Err(AllowError::Star { entry: entry() }),
            },
            None if host.contains('*') => return Err(AllowError::Star { entry: entry() }),
            None => Hosts::One(read(host)?),
        };
        if let Hosts::One(Host::Address(address)) = &hosts {
            let class = super::Class::of(*address);
            if class.standing() == super::Standing::Never {
                return Err(AllowError::Never { entry: entry(), class: class.as_str() });
            }
        }
        Ok(Self { hosts, port })
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Entry { hosts, port }) in self.entries.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match hosts {
                Hosts::One(host) => write!(f, "{comma}{host}:{port}")?,
                Hosts::Below(suffix) => write!(f, "{comma}*{suffix}:{port}")?,
                Hosts::Any => write!(f, "{comma}*:{port}")?,
            }
        }
        Ok(())
    }
}
