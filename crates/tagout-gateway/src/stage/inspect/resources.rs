//! Which server a resource is read from.
use std::sync::Arc;

use tagout_inspect::characters::made_visible;

use super::{Identified, Target, unknown};
use crate::{
    refusal::Refusal,
    upstream::{Catalogue, Offer, Standing, TEMPLATE_BYTES, Upstream, fits_template},
};

/// The server that offers `uri`: the one that lists it or, where none does, has a template that it
/// fits. Of several, none is preferred, or a server could take another's reads. Nor can a template
/// of one put out of reach what another lists. Where the client says from which server it means to
/// read, it is that one or none.
pub(crate) async fn resource(identified: &Identified, uri: &str) -> Result<Target, Refusal> {
    let target = found(identified, uri).await?;
    let Some(meant) = identified.call().meta(MEANT) else { return Ok(target) };
    let meant = meant.text();
    let server = target.upstream().map(|upstream| upstream.name().as_str());
    if meant.is_some() && meant.as_deref() == server {
        return Ok(target);
    }
    Err(unknown("resource", uri))
}

/// In `_meta` of a request: the server that the client means, as it is called here.
const MEANT: &str = "tagout/server";

async fn found(identified: &Identified, uri: &str) -> Result<Target, Refusal> {
    // Whoever reads a resource has listed it: a server that is slow to start is not waited for.
    identified.session().start().await;
    let offering = |offers: &dyn Fn(&Catalogue) -> bool| -> Vec<Arc<Upstream>> {
        let all = identified.session().fleet().all().iter();
        all.filter(|upstream| upstream.known().is_some_and(|c| offers(&c))).cloned().collect()
    };
    let mut found = offering(&|catalogue| {
        let mut listed = catalogue.resources.iter().chain(&catalogue.templates);
        listed.any(|offer| offer.key == uri)
    });
    if found.is_empty() && uri.len() <= TEMPLATE_BYTES {
        found = offering(&|catalogue| {
            let mut templates = catalogue.templates.iter().filter(|t| has_scheme(&t.key));
            templates.any(|template| fits_template(&template.key, uri))
        });
    }
    match found.as_slice() {
        [upstream] => offered(upstream, uri),
        [] => unlisted(identified, uri).await,
        [_, _, ..] => {
            Err(Refusal::Ambiguous { uri: made_visible(uri).0.chars().take(200).collect() })
        }
    }
}

/// A resource of this server. One that no list names stands with the templates that it fits, and
/// is held back if all of them are.
fn offered(upstream: &Arc<Upstream>, uri: &str) -> Result<Target, Refusal> {
    let catalogue = upstream.known();
    let mut reviewed = upstream.offers_are_reviewed();
    let listed = |all: &Catalogue| all.resources.iter().any(|one| one.key == uri);
    if let Some(all) = catalogue.filter(|all| !listed(all)) {
        let fits = |one: &&Offer| {
            one.key == uri || (uri.len() <= TEMPLATE_BYTES && fits_template(&one.key, uri))
        };
        let (held, free): (Vec<_>, Vec<_>) =
            all.templates.iter().filter(fits).partition(|one| one.standing.quarantine().is_some());
        if let (Some(held), []) = (held.first(), free.as_slice())
            && let Some(why) = held.standing.quarantine()
        {
            return Err(why.refusal(made_visible(&held.key).0.into_owned(), held.digest));
        }
        reviewed |= free.iter().any(|one| one.standing == Standing::Reviewed);
    }
    Ok(Target::Resource { upstream: Arc::clone(upstream), uri: uri.to_owned(), reviewed })
}

/// Whether a template says itself for which scheme it is, rather than standing for any.
fn has_scheme(template: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    template.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(fits)
    })
}

/// The server of a resource that none lists: tools link to such, and skills consist of them. It is
/// the only server with resources, or it lists others of the same scheme and authority, and no
/// other server lists or has templates for any of these.
async fn unlisted(identified: &Identified, uri: &str) -> Result<Target, Refusal> {
    let mut with_resources = Vec::new();
    for upstream in identified.session().fleet().all() {
        let Some(catalogue) = upstream.known() else { continue };
        // One that is down now is not there to answer, but what it offers is still its own.
        let offers = !catalogue.resources.is_empty() || !catalogue.templates.is_empty();
        if offers || upstream.ready().await.is_ok_and(|(now, _)| now.can("resources")) {
            with_resources.push((upstream, catalogue));
        }
    }
    let place = place_of(uri);
    let of_place = |offers: &[Offer]| offers.iter().any(|offer| place_of(&offer.key) == place);
    if with_resources.len() > 1 {
        with_resources.retain(|(_, all)| of_place(&all.resources) || of_place(&all.templates));
        if with_resources.iter().any(|(_, all)| !of_place(&all.resources)) {
            return Err(unknown("resource", uri));
        }
    }
    match with_resources.as_slice() {
        [(upstream, _)] => offered(upstream, uri),
        _ => Err(unknown("resource", uri)),
    }
}

/// Scheme and authority of a URI.
fn place_of(uri: &str) -> (&str, &str) {
    let (scheme, rest) =
        uri.split_once("://").unwrap_or((uri.split(':').next().unwrap_or(uri), ""));
    (scheme, rest.split('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{has_scheme, place_of};

    #[test]
    fn templates_say_for_which_scheme_they_are() {
        for (template, has) in [
            ("grid://load/{id}", true),
            ("file:///{+path}", true),
            ("urn:x:{id}", true),
            ("x-a+b.c:{id}", true),
            ("{+x}", false),
            ("{scheme}://a", false),
            ("me{+x}://a", false),
            ("memo{+x}", false),
            ("://{x}", false),
            ("1a:{x}", false),
            ("/a:{x}", false),
            ("", false),
        ] {
            assert_eq!(has_scheme(template), has, "{template}");
        }
    }

    #[test]
    fn places_are_scheme_and_authority() {
        for (uri, place) in [
            ("grid://load/x", ("grid", "load")),
            ("grid://load", ("grid", "load")),
            ("file:///x", ("file", "")),
            ("urn:a:b", ("urn", "")),
        ] {
            assert_eq!(place_of(uri), place, "{uri}");
        }
    }
}
