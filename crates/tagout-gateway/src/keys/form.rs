//! How a key is written: `tagout_` + identifier + `_` + secret.
//!
//! Identifier and secret are drawn from 32 symbols, digits and lower-case letters without `i`, `l`,
//! `o` and `u` (Crockford's base 32). So a double click selects the whole of a key, no symbol is
//! taken for another, it needs no quoting in shells, URLs and headers, there is one place to cut it,
//! and it has one spelling only. The identifier holds 40 random bits, the secret 260.
use tagout_proto::Secret;

/// What every key begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "tagout_";
/// Symbols of an identifier.
pub(super) const ID: usize = 8;
/// Symbols of a secret.
pub(super) const SECRET: usize = 52;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A key as somebody presents it: its form is right, and nothing else is known.
pub(super) struct Presented<'a> {
    pub(super) id: &'a str,
    pub(super) whole: &'a str,
}

impl<'a> Presented<'a> {
    /// Nothing if `text` is not written as a key is.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let drawn = |part: &str, long| part.len() == long && part.bytes().all(is_symbol);
        (drawn(id, ID) && drawn(secret, SECRET)).then_some(Self { id, whole: text })
    }
}

/// A key that nobody has seen yet, with its identifier.
pub(super) fn draw() -> Result<(String, Secret<String>), getrandom::Error> {
    let id = symbols(ID)?;
    let whole = format!("{PREFIX}{id}_{}", symbols(SECRET)?);
    Ok((id, Secret::new(whole)))
}

fn symbols(count: usize) -> Result<String, getrandom::Error> {
    let mut bytes = [0; SECRET];
    getrandom::fill(&mut bytes)?;
    // 256 is a multiple of 32, so every symbol is as likely as any other.
    let symbol = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).map(|symbol| char::from(*symbol));
    Ok(bytes.iter().take(count).filter_map(symbol).collect())
}

fn is_symbol(byte: u8) -> bool {
    ALPHABET.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_the_form() {
        let (id, key) = draw().unwrap();
        let presented = Presented::parse(key.expose()).unwrap();
        assert_eq!((presented.id, presented.whole), (id.as_str(), key.expose().as_str()));
        assert_eq!(key.expose().len(), 68);
        assert_ne!(draw().unwrap().0, id);
    }

    #[test]
    fn there_is_one_spelling() {
        let good = format!("tagout_01234567_{}", "z".repeat(52));
        assert!(Presented::parse(&good).is_some());
        for bad in [
            String::new(),
            "tagout_".to_owned(),
            good.to_uppercase(),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{good}z"),
            good.replace("tagout_", "tagout-"),
            good.replace("01234567", "0123456"),
            good.replace("01234567", "0123456u"),
            good.replacen('z', "_", 1),
            good.replacen('z', "i", 1),
            good.replacen("zz", "\u{e9}", 1),
            "tagout_".repeat(100_000),
        ] {
            assert!(Presented::parse(&bad).is_none(), "{bad:.80}");
        }
    }
}
