//! URLs that servers want people to go to: read strictly, shown as they are looked up, never opened
//! or fetched here.
use rmcp::ErrorData;
use serde_json::Value;
use url::{Host, Url};

use crate::Visit;

/// The longest URL that a person is shown.
const URL_BYTES: usize = 2_048;

/// A URL that is not put to a person, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUrl {
    #[error("the URL is longer than 2048 bytes")]
    Long,
    #[error("the URL holds blanks, controls or characters that no URL holds")]
    Characters,
    #[error("the URL cannot be read")]
    Unreadable,
    #[error("the URL is neither `https` nor `http` of this machine")]
    Scheme,
    #[error("the URL names a user before its host")]
    User,
    #[error("the URL has no host")]
    NoHost,
}

/// The question as a person is shown it: the URL with its host as it is looked up, so that no
/// letter of another script passes for one of this.
///
/// # Errors
/// [`BadUrl`].
pub(crate) fn read(message: String, url: &str) -> Result<Visit, BadUrl> {
    if url.len() > URL_BYTES {
        return Err(BadUrl::Long);
    }
    // Readers of URLs drop or change these, so that what is read is not what is shown.
    let bad = |c: char| c.is_control() || c.is_whitespace() || r#"\"<>^`{|}"#.contains(c);
    if url.chars().any(bad) {
        return Err(BadUrl::Characters);
    }
    // `https:host` and `https:///host` are read as if they were written well.
    let authority = url.split_once("://").map(|(_, rest)| rest).ok_or(BadUrl::Unreadable)?;
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(BadUrl::NoHost);
    }
    if authority.contains('@') {
        return Err(BadUrl::User);
    }
    let url = Url::parse(url).map_err(|_| BadUrl::Unreadable)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadUrl::User);
    }
    let host = url.host().ok_or(BadUrl::NoHost)?;
    match url.scheme() {
        "https" => {}
        "http" if is_this_machine(&host) => {}
        _ => return Err(BadUrl::Scheme),
    }
    Ok(Visit { message, host: host.to_string(), url: url.to_string() })
}

/// The code of an error that names URLs to visit before a call can be made.
const VISIT_FIRST: i32 = -32_042;
/// As many of them as a person is asked about.
const VISITS: usize = 4;

/// The longest message beside a URL, in bytes.
const MESSAGE_BYTES: usize = 4 << 10;

/// The URLs that an error names. The gateway let each of them through, and wrote the server's name
/// before its message. What cannot be put to a person is left out.
pub(crate) fn named_by(error: &ErrorData) -> Vec<Visit> {
    let data = error.data.as_ref().filter(|_| error.code.0 == VISIT_FIRST);
    let named = data.and_then(|data| data.get("elicitations")).and_then(Value::as_array);
    let visits = named.into_iter().flatten().take(VISITS).filter_map(|named| {
        let text = |name: &str| named.get(name).and_then(Value::as_str);
        (text("mode") == Some("url")).then_some(())?;
        let message = text("message").filter(|message| message.len() <= MESSAGE_BYTES)?;
        read(message.to_owned(), text("url")?).ok()
    });
    visits.collect()
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_as_they_are_looked_up() {
        for (url, host, shown) in [
            ("https://pay.example/x?y=1#z", "pay.example", "https://pay.example/x?y=1#z"),
            ("HTTPS://PAY.Example:8443", "pay.example", "https://pay.example:8443/"),
            // A Cyrillic а.
            ("https://p\u{430}ypal.com/", "xn--pypal-4ve.com", "https://xn--pypal-4ve.com/"),
            ("https://münchen.example/ü", "xn--mnchen-3ya.example", ""),
            ("https://0x7f.1/", "127.0.0.1", "https://127.0.0.1/"),
            ("http://localhost:3000/cb", "localhost", "http://localhost:3000/cb"),
            ("http://127.0.0.2/", "127.0.0.2", "http://127.0.0.2/"),
            ("http://[::1]/", "[::1]", "http://[::1]/"),
        ] {
            let visit = read("why".into(), url).unwrap();
            assert_eq!(visit.host, host, "{url}");
            assert!(shown.is_empty() || visit.url == shown, "{}", visit.url);
            assert!(visit.url.is_ascii(), "{}", visit.url);
        }
    }

    #[test]
    fn what_could_mislead_is_not_put() {
        let long = format!("https://a.example/{}", "x".repeat(URL_BYTES));
        for (url, why) in [
            ("http://pay.example/", BadUrl::Scheme),
            ("http://localhost.evil.example/", BadUrl::Scheme),
            ("ftp://a.example/", BadUrl::Scheme),
            ("javascript://a.example/%0aalert(1)", BadUrl::Scheme),
            ("javascript:alert(1)", BadUrl::Unreadable),
            ("file:///etc/passwd", BadUrl::NoHost),
            ("https://bank.example@evil.example/", BadUrl::User),
            ("https://@evil.example/", BadUrl::User),
            ("https:evil.example", BadUrl::Unreadable),
            ("https:///evil.example", BadUrl::NoHost),
            ("https://a.example\\@evil.example/", BadUrl::Characters),
            ("https://a.exa\tmple/", BadUrl::Characters),
            (" https://a.example/", BadUrl::Characters),
            ("https://a b/", BadUrl::Characters),
            ("https://[::1", BadUrl::Unreadable),
            ("https://a\u{200b}.example:x/", BadUrl::Unreadable),
            ("", BadUrl::Unreadable),
            (long.as_str(), BadUrl::Long),
        ] {
            assert_eq!(read(String::new(), url).unwrap_err(), why, "{url}");
        }
    }
}
