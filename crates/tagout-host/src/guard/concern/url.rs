//! Addresses in texts: of pages, of mail, of files, of accounts.
use std::{net::Ipv6Addr, sync::LazyLock};

use regex::Regex;

use super::hosts::{plain, plain_mail};

/// A URL in a text, in its parts.
pub(super) struct Url<'a> {
    pub(super) whole: &'a str,
    pub(super) host: &'a str,
    user: &'a str,
    /// Path, query and fragment.
    rest: &'a str,
}

static URLS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b[a-z][a-z0-9+.-]{1,15}://[^\s<>"'`|\\^{}]+"#).ok());
static MAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)[a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}").ok()
});
static HOSTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // As tools take it that mend what they are given: with half of a scheme, or none.
    let before = r"(?:[a-z][a-z0-9+.-]{1,15}:)?[/\\]*(?:[^\s/@\\]*@)?";
    let name = r"(?:[\p{L}\p{N}_-]{1,63}[.。．｡])+[\p{L}][\p{L}\p{N}-]{1,62}";
    let number = r"(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:.]{2,45}\]";
    Regex::new(&format!(r"(?i)^{before}({name}|{number})\.?(?::\d*)?(?:[/?#\\]\S*)?$")).ok()
});
static ACCOUNTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b").ok());

/// Ends of names that are files', where hosts would have a country or the like.
const FILES: &[&str] = &[
    "bak", "bin", "c", "cfg", "conf", "cpp", "css", "csv", "db", "doc", "docx", "exe", "gif", "go",
    "gz", "h", "htm", "html", "ini", "ipynb", "java", "jpeg", "jpg", "js", "json", "jsonl", "lock",
    "log", "md", "mp", "parquet", "pdf", "png", "ppt", "pptx", "py", "rb", "rs", "rst", "sh",
    "sql", "svg", "tar", "tex", "toml", "ts", "tsv", "tsx", "txt", "wav", "xls", "xlsx", "xml",
    "yaml", "yml", "zip",
];

/// A query, a path's piece or a user longer than this is more than an address.
const LONG: usize = 200;
/// A run of letters and digits that nobody would type.
const CODED: usize = 32;
/// So many hexadecimal digits that are all letters and the like are a text.
const SPELLED: usize = 16;
/// The longest part of a host's name that is a name.
const LABEL: usize = 30;
/// The URLs in a text.
pub(super) fn urls(text: &str) -> Vec<Url<'_>> {
    // Making a pattern ready takes longer than to see that there is nothing to find.
    if !text.contains("://") {
        return Vec::new();
    }
    let Some(pattern) = URLS.as_ref() else { return Vec::new() };
    pattern.find_iter(text).filter_map(|found| url(found.as_str())).collect()
}

fn url(whole: &str) -> Option<Url<'_>> {
    let whole = whole.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '*']);
    let (_, after) = whole.split_once("://")?;
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let whole_host = host;
    let host = host.rsplit_once(':').map_or(host, |(host, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) { host } else { whole_host }
    });
    Some(Url { whole, host, user, rest })
}

impl Url<'_> {
    /// What in it looks like data, in words.
    pub(super) fn data(&self) -> Option<String> {
        if !self.user.is_empty() {
            return Some("it has something before the host's name".to_owned());
        }
        let labels: Vec<_> = self.host.split('.').collect();
        if labels.iter().any(|label| label.len() > LABEL || coded(label)) || labels.len() > 8 {
            return Some("its host's name is longer than names are".to_owned());
        }
        let query = self.rest.split_once(['?', '#']).map_or("", |(_, query)| query);
        if query.len() > LONG {
            return Some(format!("its query has {} bytes", query.len()));
        }
        for piece in self.pieces() {
            if piece.len() > LONG {
                return Some(format!("a part of it has {} bytes", piece.len()));
            }
            if coded(&piece) || spelled(&piece) {
                return Some("a part of it looks encoded".to_owned());
            }
        }
        None
    }

    /// What stands between slashes and the like, with the escapes undone.
    pub(super) fn pieces(&self) -> Vec<String> {
        let pieces = self.rest.split(['/', '?', '&', '=', '#', ';']);
        let labels = self.host.split('.').rev().skip(2);
        let all = pieces.chain(labels).chain([self.user]);
        all.filter(|piece| !piece.is_empty()).map(decoded).collect()
    }

    /// All that it may take along, in a row and without what parts it; once more without what a
    /// query's values are called.
    pub(super) fn bare(&self) -> [String; 2] {
        let mut row = decoded(self.user);
        let labels: Vec<_> = self.host.split('.').collect();
        let own = labels.len().saturating_sub(2);
        labels.into_iter().take(own).for_each(|label| row.push_str(label));
        let mut values = row.clone();
        row.push_str(&decoded(self.rest));
        for pair in self.rest.split(['?', '&', ';', '#']) {
            values.push_str(&decoded(pair.split_once('=').map_or(pair, |(_, value)| value)));
        }
        [bare(&row), bare(&values)]
    }
}

/// Letters and digits alone, in lower case.
pub(super) fn bare(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

fn decoded(piece: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(piece.len());
    let mut rest = piece.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => out.push(if *byte == b'+' { b' ' } else { *byte }),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether hexadecimal digits, parted or not, spell a text.
fn spelled(piece: &str) -> bool {
    let digits: Option<Vec<u8>> = bare(piece).bytes().map(hex).collect();
    let digits = digits.filter(|digits| digits.len() >= SPELLED && digits.len().is_multiple_of(2));
    digits.is_some_and(|digits| {
        digits.chunks_exact(2).all(|pair| match pair {
            [high, low] => (b' '..=b'~').contains(&(high << 4 | low)),
            _ => false,
        })
    })
}

/// Whether there is a long run of letters and digits that mixes them as no words do.
fn coded(text: &str) -> bool {
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric());
    runs.filter(|run| run.len() >= CODED).any(|run| {
        let count = |kind: fn(&u8) -> bool| run.bytes().filter(kind).count();
        let digits = count(u8::is_ascii_digit);
        let (upper, lower) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
        digits > 2 || (upper > 3 && lower > 3)
    })
}

/// Where something would be sent: the addresses in a text that only somebody's data may name.
pub(super) struct Address<'a> {
    pub(super) text: &'a str,
    pub(super) kind: Kind,
    /// It is all of the text, or leads anybody who reads it somewhere.
    pub(super) leads: bool,
}

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Url,
    Mail,
    Host,
    Account,
    Path,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "URL",
            Self::Mail => "mail address",
            Self::Host => "host",
            Self::Account => "account",
            Self::Path => "path",
        }
    }
}

impl Address<'_> {
    /// The host's name, as it is compared.
    pub(super) fn host(&self) -> Option<String> {
        match self.kind {
            Kind::Url => url(self.text).map(|url| plain(url.host)),
            Kind::Mail => plain_mail(self.text).map(|(_, host)| host),
            Kind::Host => host_in(self.text).map(plain),
            Kind::Account | Kind::Path => None,
        }
    }
}

/// The addresses in a text.
pub(super) fn addresses(text: &str) -> Vec<Address<'_>> {
    let trimmed = text.trim();
    let mut found = Vec::new();
    let mut add = |text, kind, leads| found.push(Address { text, kind, leads });
    for url in urls(text) {
        add(url.whole, Kind::Url, true);
    }
    let mails = MAIL.iter().filter(|_| text.contains('@'));
    for mail in mails.flat_map(|mail| mail.find_iter(text)) {
        add(mail.as_str(), Kind::Mail, mail.as_str() == trimmed);
    }
    let long = text.len() >= 15 && text.bytes().any(|byte| byte.is_ascii_digit());
    for account in ACCOUNTS.iter().filter(|_| long).flat_map(|account| account.find_iter(text)) {
        add(account.as_str(), Kind::Account, account.as_str() == trimmed);
    }
    for host in hosts(trimmed) {
        add(host, Kind::Host, true);
    }
    if is_path(trimmed) {
        add(trimmed, Kind::Path, true);
    }
    found
}

/// The hosts of a text that is nothing but a host or a list of them. In other texts they are words.
fn hosts(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for token in text.split([',', ';', ' ', '\n', '\t']).filter(|token| !token.is_empty()) {
        let address = token.contains("://") || (token.contains('@') && is_mail(token));
        match host_in(token) {
            _ if address => {}
            Some(_) => found.push(token),
            None if token.parse::<Ipv6Addr>().is_ok() => found.push(token),
            None => return Vec::new(),
        }
    }
    found
}

fn is_mail(token: &str) -> bool {
    MAIL.as_ref().is_some_and(|mail| mail.is_match(token))
}

/// The name in what is a host, with or without a port and a path.
fn host_in(token: &str) -> Option<&str> {
    // Each has one of these.
    let may = token.contains(['.', '。', '．', '｡', '[']);
    let hosts = HOSTS.as_ref().filter(|_| may);
    let Some(found) = hosts.and_then(|hosts| hosts.captures(token)) else {
        return token.parse::<Ipv6Addr>().is_ok().then_some(token);
    };
    let name = found.get(1)?.as_str();
    (!is_file(name)).then_some(name)
}

fn is_file(name: &str) -> bool {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    FILES.contains(&end.as_str())
}

/// A path from the root, from somebody's home, or upwards. Others stay where they are.
fn is_path(text: &str) -> bool {
    let absolute = text.starts_with('/') && text.len() > 1 && !text.starts_with("//");
    let home = text.starts_with("~/") || text.starts_with("$HOME");
    let windows = matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic())
        || text.starts_with("\\\\");
    let upwards = text.split(['/', '\\']).any(|piece| piece == "..");
    (absolute || home || windows || upwards) && !text.contains(['\n', '\t'])
}
