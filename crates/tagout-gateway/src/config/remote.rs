//! Servers that run elsewhere: their URL, and what is sent along.
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use toml::Spanned;

use super::{ConfigError, Reader, Source, server::WrittenServer};

/// A server that runs elsewhere and speaks MCP over HTTP.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it is; without user, password and fragment.
    pub url: String,
    /// How it is spoken with.
    pub transport: Transport,
    /// What is sent with every request: names in lower case, and where the values are.
    pub headers: BTreeMap<String, Source>,
    /// A PEM file of the certificates that sign its own, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Whether its name may lead to an address of a private network, or to this machine.
    pub private_network: bool,
}

/// How a remote server is spoken with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// As it turns out.
    #[default]
    Auto,
    /// One endpoint: every message is a POST, answered by JSON or by a stream.
    StreamableHttp,
    /// A stream of events that names a second endpoint for messages, as in 2024.
    Sse,
}

impl Transport {
    /// As it stands in the configuration and in the lockfile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::StreamableHttp => "streamable-http",
            Self::Sse => "sse",
        }
    }
}

/// Headers that the transport or the protocol sets.
const NOT_ONES_OWN: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that a server may be sent beside the protocol's.
const MOST_HEADERS: usize = 32;
/// The longest URL, in bytes.
const URL_BYTES: usize = 2048;

impl Reader<'_> {
    pub(super) fn remote(&self, w: WrittenServer) -> Result<Remote, ConfigError> {
        let Some(url) = &w.url else {
            return Err(self.error("a server without `url`".to_owned(), None, None));
        };
        let plain = w.allow_plain_http.as_ref().is_some_and(|allowed| *allowed.get_ref());
        check_url(url.get_ref(), plain).map_err(|(problem, help)| {
            self.error(problem.to_owned(), Some(help.to_owned()), Some(url.span()))
        })?;
        Ok(Remote {
            url: url.get_ref().clone(),
            transport: w.transport.map_or(Transport::Auto, Spanned::into_inner),
            headers: self.headers(w.headers)?,
            ca: w.ca.map(|ca| self.folder.join(ca.into_inner())),
            private_network: w.allow_private_network.is_some_and(Spanned::into_inner),
        })
    }

    fn headers(
        &self,
        written: BTreeMap<Spanned<String>, Spanned<String>>,
    ) -> Result<BTreeMap<String, Source>, ConfigError> {
        let mut headers = BTreeMap::new();
        for (name, value) in written {
            let lower = name.get_ref().to_ascii_lowercase();
            let refused = |problem: String| Err(self.error(problem, None, Some(name.span())));
            if !is_token(&lower) {
                return refused("this cannot name an HTTP header".to_owned());
            }
            let protocols = lower.starts_with("mcp-") || lower.starts_with("proxy-");
            if protocols || NOT_ONES_OWN.contains(&lower.as_str()) {
                return refused(format!("the header `{lower}` is set by the transport"));
            }
            let source = self.source(&format!("the header `{lower}`"), &value)?;
            if headers.insert(lower.clone(), source).is_some() {
                return refused(format!("the header `{lower}` stands here twice"));
            }
            if headers.len() > MOST_HEADERS {
                return refused(format!("there are more than {MOST_HEADERS} headers"));
            }
        }
        Ok(headers)
    }
}

/// Whether `text` is a token of HTTP.
pub(crate) fn is_token(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(fits)
}

/// What is wrong with a URL, and what to do.
pub(super) type UrlProblem = (&'static str, &'static str);

pub(super) fn check_url(url: &str, plain: bool) -> Result<(), UrlProblem> {
    const SHAPE: &str = "write `url = \"https://example.com/mcp\"`";
    let odd = |b: u8| !b.is_ascii_graphic() || b"\\\"<>^`{|}".contains(&b);
    if url.len() > URL_BYTES || url.bytes().any(odd) {
        return Err(("the URL is too long, or holds characters that URLs do not have", SHAPE));
    }
    let (secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(("the URL begins neither with https:// nor http://", SHAPE)),
    };
    if url.contains('#') {
        return Err(("the URL has a fragment", "leave out `#` and what follows it"));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        let help = "secrets do not stand in URLs: use `headers` with a reference";
        return Err(("the URL holds a user or a password", help));
    }
    let host = host_of(authority).ok_or(("the URL names no host", SHAPE))?;
    if !secure && !plain && !is_loopback(host) {
        let help = "write https://; or `allow_plain_http = true`, and everybody on the way can \
                    read and change what is sent";
        return Err(("plain http:// goes to this machine only", help));
    }
    Ok(())
}

/// The host of an authority without user, without its brackets.
fn host_of(authority: &str) -> Option<&str> {
    let port_is_sound = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let sound = port.is_empty() || port.strip_prefix(':').is_some_and(port_is_sound);
        return (host.parse::<std::net::Ipv6Addr>().is_ok() && sound).then_some(host);
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let sound = !host.is_empty() && host.bytes().all(fits) && port_is_sound(port);
    sound.then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::check_url;
    use crate::config::{Config, Remote, Start};

    fn remote(text: &str) -> Result<Remote, String> {
        let text = format!("[server.a]\n{text}\n");
        let config = Config::parse("tagout.toml", &text, Path::new("/etc/tagout"));
        let config = config.map_err(|error| error.to_string())?;
        let server = config.servers.values().next().ok_or("there is none")?;
        let Start::Remote(remote) = &server.start else { return Err("it is a program".to_owned()) };
        Ok(remote.clone())
    }

    #[test]
    fn names_lead_inside_only_where_that_is_written() {
        let url = "url = \"https://wiki.corp.example/mcp\"";
        assert!(!remote(url).unwrap().private_network);
        let inside = format!("{url}\nallow_private_network = true");
        assert!(remote(&inside).unwrap().private_network);
        let program = "command = [\"/bin/true\"]\nallow_private_network = true";
        let error = remote(program).unwrap_err();
        assert_eq!(error, "`allow_private_network` is for servers with a `url`");
    }

    #[test]
    fn urls_are_checked() {
        for (url, plain, fits) in [
            ("https://example.com/mcp", false, true),
            ("https://example.com:8443/mcp?tenant=1", false, true),
            ("http://example.com/mcp", false, false),
            ("http://example.com/mcp", true, true),
            ("http://localhost:80/", false, true),
            ("http://LOCALHOST/", false, true),
            ("http://127.0.0.1:3000/mcp", false, true),
            ("http://[::1]:3000/mcp", false, true),
            ("http://[::2]:3000/mcp", false, false),
            ("http://localhost.example.com/", false, false),
            ("http://127.0.0.1.example.com/", false, false),
            ("https://ann:secret@example.com/", false, false),
            ("https://example.com/#top", false, false),
            ("https://exa mple.com/", false, false),
            ("https://example.com\\@evil.example/", false, false),
            ("https://", false, false),
            ("https://example.com:0/", false, false),
            ("https://example.com:http/", false, false),
            ("ftp://example.com/", false, false),
            ("HTTPS://example.com/", false, false),
            ("https://b\u{fc}cher.example/", false, false),
        ] {
            assert_eq!(check_url(url, plain).is_ok(), fits, "{url}");
        }
    }
}
