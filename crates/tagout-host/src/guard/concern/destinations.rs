//! Where something would be sent that only others named, and what would be taken along.
use super::{
    Concern, concern,
    hosts::{By, Hosts, plain_mail},
    leaves::Leaf,
    needles::{Found, In, Needles, Search},
    purpose::Purpose,
    quoted,
    runs::{GRAM, Run, Runs, alike},
    said::Said,
    url::{Address, Kind, Url, addresses, bare, urls},
    work::Work,
};

/// A piece of a URL that is this long may be somebody's data.
const PIECE: usize = 12;
/// Addresses of one call that are looked at…
const ADDRESSES: usize = 1_024;
/// …and pieces of all its URLs.
const PIECES: usize = 8_192;

/// The addresses of a call.
struct Places<'a> {
    /// With the text that each is in.
    addresses: Vec<(&'a Leaf<'a>, Address<'a>)>,
    urls: Vec<Carrier<'a>>,
    hosts: Hosts,
    search: Search,
}

/// A URL, and what it may take along.
struct Carrier<'a> {
    leaf: &'a Leaf<'a>,
    url: Url<'a>,
    pieces: Vec<String>,
    /// All of it in a row, in each way to write it.
    rows: [String; 2],
    /// Where that stands, other than in the person's words.
    taken: Found,
}

/// Finds what is odd about addresses. What was not looked at is told: the first for arguments, the
/// second for results.
pub(super) fn concerns(
    leaves: &[Leaf<'_>],
    said: &Said,
    work: &mut Work,
    found: &mut Vec<Concern>,
) -> (bool, bool) {
    let (mut places, all) = Places::of(leaves);
    let looked = places.look(said, work);
    for (leaf, address) in &places.addresses {
        found.extend(places.leads(leaf, address, said));
    }
    for carrier in &places.urls {
        found.extend(places.carries(carrier, said));
    }
    (all, looked)
}

impl<'a> Places<'a> {
    /// All of them, and whether that is so.
    fn of(leaves: &'a [Leaf<'a>]) -> (Self, bool) {
        let (mut needles, mut hosts) = (Needles::default(), Hosts::default());
        let (mut all_addresses, mut carriers, mut pieces) = (Vec::new(), Vec::new(), 0);
        let mut all = true;
        for leaf in leaves {
            for address in addresses(leaf.text) {
                if all_addresses.len() >= ADDRESSES {
                    all = false;
                    break;
                }
                needles.want(&alike(address.text));
                if let Some(host) = address.host() {
                    hosts.want(&host);
                }
                if let (Kind::Mail, Some((mail, _))) = (address.kind, plain_mail(address.text)) {
                    hosts.want_mail(&mail);
                }
                all_addresses.push((leaf, address));
            }
            for url in urls(leaf.text).into_iter().take(ADDRESSES) {
                let split = url.pieces();
                let long = split.iter().map(|piece| alike(piece).trim().to_owned());
                let long: Vec<_> = long.filter(|piece| piece.len() >= PIECE).collect();
                pieces += long.len() + 1;
                if pieces > PIECES {
                    all = false;
                    break;
                }
                long.iter().for_each(|piece| needles.want(piece));
                let (rows, taken) = (url.bare(), Found::default());
                carriers.push(Carrier { leaf, url, pieces: long, rows, taken });
            }
        }
        let search = needles.ready();
        (Self { addresses: all_addresses, urls: carriers, hosts, search }, all)
    }

    /// Looks through everything once; false if that was too much.
    fn look(&mut self, said: &Said, work: &mut Work) -> bool {
        let own = [(&said.words, In::Words), (&said.earlier, In::Earlier)];
        for (text, place) in own {
            if !self.search.look(text, place, work) || !self.hosts.look(text, By::Person, work) {
                return false;
            }
        }
        if !self.search.look(&said.operator, In::Operator, work) {
            return false;
        }
        for (source, number) in said.sources.iter().zip(0..) {
            if !self.search.look(&source.text, In::Source(number), work)
                || !self.hosts.look(&source.text, By::Source(number), work)
            {
                return false;
            }
        }
        self.take_along(said, work)
    }

    /// Finds what stands in URLs without what parts it there.
    fn take_along(&mut self, said: &Said, work: &mut Work) -> bool {
        let Self { urls, .. } = self;
        let rows: Vec<String> = urls.iter().flat_map(|carrier| carrier.rows.clone()).collect();
        if rows.iter().all(|row| row.len() < GRAM) {
            return true;
        }
        let mut runs = Runs::of(rows.iter().map(String::as_bytes).collect());
        let mut known: Vec<Vec<bool>> = rows.iter().map(|row| vec![false; row.len()]).collect();
        let sources = said.sources.iter().zip(0..).map(|(text, n)| (&text.text, In::Source(n)));
        let own = [
            (&said.words, In::Words),
            (&said.operator, In::Operator),
            (&said.earlier, In::Earlier),
        ];
        own.into_iter().chain(sources).all(|(text, place)| {
            if !work.take(text.len()) {
                return false;
            }
            runs.look(bare(text).as_bytes(), work, |Run { text, from, to }| {
                let bytes = known.get_mut(text).and_then(|known| known.get_mut(from..to));
                let bytes = bytes.unwrap_or_default();
                if matches!(place, In::Words) {
                    bytes.fill(true);
                } else if bytes.iter().filter(|known| !**known).count() >= PIECE
                    && let Some(carrier) = urls.get_mut(text / 2)
                {
                    carrier.taken.add(place);
                }
                true
            })
        })
    }

    fn leads(&self, leaf: &Leaf<'_>, address: &Address<'_>, said: &Said) -> Option<Concern> {
        let kind = address.kind.as_str();
        let written = self.search.found(&alike(address.text));
        let host = address.host();
        let mail = match address.kind {
            Kind::Mail => plain_mail(address.text).map(|(mail, _)| mail),
            Kind::Url | Kind::Host | Kind::Account | Kind::Path => None,
        };
        let own_host = host.as_ref().is_some_and(|host| self.hosts.by_person(host));
        let theirs = host.as_ref().filter(|_| !own_host).and_then(|host| self.hosts.source(host));
        let (known, source, what) = match (address.kind, &mail) {
            (Kind::Mail, Some(mail)) => {
                let source = self.hosts.mail_source(mail).or(written.source);
                let what = if source.is_some() { kind } else { "mail's host" };
                (self.hosts.mail_by_person(mail), source.or(theirs), what)
            }
            (Kind::Url, _) => {
                let what = if written.source.is_some() { kind } else { "URL's host" };
                (written.by_person() && own_host, written.source.or(theirs), what)
            }
            (Kind::Host, _) => (own_host, theirs, kind),
            (Kind::Account | Kind::Path | Kind::Mail, _) => {
                (written.by_person(), written.source, kind)
            }
        };
        let source = source.filter(|_| !known)?;
        let detail =
            format!("only {} names this {what}: {}", said.name(source), quoted(address.text));
        let holds = address.leads || leaf.purpose != Purpose::Prose;
        Some(concern(&leaf.path, "copied-from-result", detail, holds))
    }

    /// Whether a URL takes something along.
    fn carries(&self, carrier: &Carrier<'_>, said: &Said) -> Option<Concern> {
        let Carrier { leaf, url, pieces, taken, .. } = carrier;
        let whole = self.search.found(&alike(url.whole));
        // Whoever wrote it knows what is in it.
        if whole.by_person() || whole.source.is_some() {
            return None;
        }
        let asked_for = self.hosts.by_person(&super::hosts::plain(url.host));
        let holds = |why: String, holds| {
            let detail = format!("{why}: {}", quoted(url.whole));
            Some(concern(&leaf.path, "url-carries-data", detail, holds))
        };
        let found = pieces.iter().map(|piece| self.search.found(piece));
        for found in found.filter(|found| !found.words).chain([*taken]) {
            if found.operator {
                return holds("a part of it stands in the instructions".to_owned(), true);
            }
            if let Some(source) = found.source {
                let why = format!("a part of it stands in {}", said.name(source));
                return holds(why, !asked_for);
            }
            if found.earlier {
                return holds("a part of it stands in an earlier question".to_owned(), !asked_for);
            }
        }
        url.data().and_then(|why| holds(why, true))
    }
}
