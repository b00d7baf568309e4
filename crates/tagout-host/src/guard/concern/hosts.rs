//! Who names which host. A host is one however it is written: with a port, a user, a final dot, in
//! capitals, as a number.
use std::{collections::HashMap, net::Ipv6Addr};

use url::Host;

use super::work::{STEP, Work};

/// Labels of a name that are looked at.
const LABELS: usize = 16;

/// Who wrote a text.
#[derive(Clone, Copy)]
pub(super) enum By {
    Person,
    /// The source of this number.
    Source(usize),
}

/// Who named something.
#[derive(Default)]
struct Naming {
    person: bool,
    /// The first source that did…
    source: Option<usize>,
    /// …or that named something below it.
    below: Option<usize>,
}

impl Naming {
    fn add(&mut self, by: By, whole: bool) {
        match (by, whole) {
            (By::Person, true) => self.person = true,
            // Who names a part does not vouch for all of it.
            (By::Person, false) => {}
            (By::Source(number), true) => self.source = self.source.or(Some(number)),
            (By::Source(number), false) => self.below = self.below.or(Some(number)),
        }
    }
}

/// The hosts and mail addresses of a call, and who else names them.
#[derive(Default)]
pub(super) struct Hosts {
    hosts: HashMap<String, Naming>,
    mails: HashMap<String, Naming>,
    /// Whether one of them is a number.
    numbers: bool,
}

/// A host's name as it is compared.
pub(super) fn plain(host: &str) -> String {
    let host = host.trim_end_matches('.');
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => address.to_string(),
        };
    }
    let name = match Host::parse(host) {
        Ok(host) => host.to_string().trim_end_matches('.').to_owned(),
        Err(_) => host.to_lowercase(),
    };
    without_www(&name).to_owned()
}

/// A mail address as it is compared: what stands behind a plus makes no other of it.
pub(super) fn plain_mail(mail: &str) -> Option<(String, String)> {
    let (local, host) = mail.rsplit_once('@')?;
    let local = local.split_once('+').map_or(local, |(local, _)| local).to_lowercase();
    let host = plain(host);
    Some((format!("{local}@{host}"), host))
}

fn without_www(name: &str) -> &str {
    name.strip_prefix("www.").filter(|rest| rest.contains('.')).unwrap_or(name)
}

fn is_number(host: &str) -> bool {
    host.contains(':') || host.split('.').all(|label| label.bytes().all(|b| b.is_ascii_digit()))
}

/// The names above a host's that are more than an ending.
fn above(host: &str) -> impl Iterator<Item = &str> {
    let mut rest = (!is_number(host)).then_some(host);
    let up = std::iter::from_fn(move || {
        rest = rest.and_then(|name| name.split_once('.')).map(|(_, above)| above);
        rest.filter(|above| above.contains('.'))
    });
    up.take(LABELS)
}

impl Hosts {
    /// Looks for `host` from now on.
    pub(super) fn want(&mut self, host: &str) {
        self.numbers |= is_number(host);
        for name in std::iter::once(host).chain(above(host)) {
            self.hosts.entry(name.to_owned()).or_default();
        }
    }

    /// Looks for `mail` from now on.
    pub(super) fn want_mail(&mut self, mail: &str) {
        self.mails.entry(mail.to_owned()).or_default();
    }

    /// Whether the person named `host`, or what it is below.
    pub(super) fn by_person(&self, host: &str) -> bool {
        let named = |name| self.hosts.get(name).is_some_and(|naming: &Naming| naming.person);
        named(host) || above(host).any(named)
    }

    /// The source that names `host`, something below it, or what it is below.
    pub(super) fn source(&self, host: &str) -> Option<usize> {
        let naming = self.hosts.get(host)?;
        let above = || above(host).find_map(|name| self.hosts.get(name)?.source);
        naming.source.or(naming.below).or_else(above)
    }

    /// Whether the person named `mail`.
    pub(super) fn mail_by_person(&self, mail: &str) -> bool {
        self.mails.get(mail).is_some_and(|naming| naming.person)
    }

    /// The source that names `mail`.
    pub(super) fn mail_source(&self, mail: &str) -> Option<usize> {
        self.mails.get(mail)?.source
    }

    /// Finds what `text`, in lower case, names; false if that was too much.
    pub(super) fn look(&mut self, text: &str, by: By, work: &mut Work) -> bool {
        if self.hosts.is_empty() {
            return true;
        }
        let (mut start, mut slash) = (0, false);
        for (at, byte) in text.bytes().chain([b' ']).enumerate() {
            if at % STEP == 0 && !work.take(STEP.min(text.len())) {
                return false;
            }
            if in_name(byte) {
                continue;
            }
            let name = text.get(start..at).unwrap_or_default();
            if !name.is_empty() && !self.token(name, slash, by, work) {
                return false;
            }
            start = at + 1;
            slash = byte == b'/';
        }
        true
    }

    fn token(&mut self, token: &str, led: bool, by: By, work: &mut Work) -> bool {
        // Most words are no names.
        if !led && !token.bytes().any(|b| matches!(b, b'.' | b'@' | b':') || !b.is_ascii()) {
            return true;
        }
        if token.is_ascii() {
            return self.written(token, led, by, work);
        }
        // Other letters may stand for these, and may stand right beside a name.
        if !work.take(token.len().saturating_mul(16)) {
            return false;
        }
        let names = token.split(['@', ':']).filter(|name| name.contains(['.', '。', '．', '｡']));
        for name in names.map(plain).collect::<Vec<_>>() {
            self.name(&name, by);
        }
        let mut ascii = token.split(|c: char| !c.is_ascii()).filter(|piece| !piece.is_empty());
        ascii.all(|piece| self.written(piece, led, by, work))
    }

    fn written(&mut self, token: &str, led: bool, by: By, work: &mut Work) -> bool {
        if self.numbers && token.matches(':').count() > 1 {
            let inside = token.split_once('[').map_or(token, |(_, inside)| inside);
            let inside = inside.split_once(']').map_or(inside, |(inside, _)| inside);
            self.name(&plain(inside), by);
        }
        for piece in token.split(':') {
            let mut before: Option<&str> = None;
            for name in piece.split('@') {
                let bare = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
                if let Some(local) = before
                    && let Some((mail, _)) = plain_mail(&format!("{local}@{bare}"))
                    && let Some(naming) = self.mails.get_mut(&mail)
                {
                    naming.add(by, true);
                }
                let leads = led || before.is_some();
                before = Some(name);
                if !(leads || bare.contains('.')) {
                    continue;
                }
                if !work.take(16) {
                    return false;
                }
                let odd = bare.contains('%')
                    || (self.numbers && bare.starts_with(|c: char| c.is_ascii_digit()));
                if odd {
                    self.name(&plain(bare), by);
                } else {
                    self.name(without_www(bare), by);
                }
            }
        }
        true
    }

    /// Takes note of a name and of all that it is below.
    fn name(&mut self, name: &str, by: By) {
        if let Some(naming) = self.hosts.get_mut(name) {
            naming.add(by, true);
        }
        if is_number(name) {
            return;
        }
        for above in above(name) {
            if let Some(naming) = self.hosts.get_mut(above) {
                naming.add(by, false);
            }
        }
    }
}

/// What names of hosts and mail addresses are made of, and what may stand around them.
const fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'%' | b'@' | b':' | b'[' | b']')
        || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_host_is_one_however_it_is_written() {
        for (written, expected) in [
            ("EVIL.example.", "evil.example"),
            ("www.evil.example", "evil.example"),
            ("ｅｖｉｌ.example", "evil.example"),
            ("ev%69l.example", "evil.example"),
            ("203.0.113.9", "203.0.113.9"),
            ("3405803785", "203.0.113.9"),
            ("0xcb.0.113.9", "203.0.113.9"),
            ("[2001:DB8::0:9]", "2001:db8::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("www.example", "www.example"),
        ] {
            assert_eq!(plain(written), expected, "{written}");
        }
    }

    #[test]
    fn names_are_found_in_texts() {
        for (text, host, found) in [
            ("see https://evil.example/c", "evil.example", true),
            ("see evil.example:443.", "evil.example", true),
            ("ask a@evil.example,b", "evil.example", true),
            ("(www.evil.example)", "evil.example", true),
            ("below: a.b.evil.example", "evil.example", true),
            ("above: evil.example", "a.evil.example", true),
            ("beside: b.evil.example", "a.evil.example", false),
            ("evil.example.org and notevil.example", "evil.example", false),
            ("请访问evil.example获取", "evil.example", true),
            ("ｅｖｉｌ.example", "evil.example", true),
            ("http://3405803785/x", "203.0.113.9", true),
            ("http://[2001:db8::9]:80/", "2001:db8::9", true),
            ("at 2001:db8:0::9", "2001:db8::9", true),
            ("the host desk", "desk", false),
            ("http://desk/x", "desk", true),
        ] {
            let mut hosts = Hosts::default();
            hosts.want(host);
            let mut work = Work::new(Arc::default());
            assert!(hosts.look(text, By::Source(0), &mut work));
            assert_eq!(hosts.source(host).is_some(), found, "{host} in {text}");
        }
    }
}
