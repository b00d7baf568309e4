//! Tool names that every provider takes, and the way back.
use std::collections::BTreeMap;

use tagout_proto::Digest;

use crate::{conversation::ToolSpec, error::ProviderError};

/// The longest name that all providers take.
const MOST: usize = 64;
/// Hexadecimal digits of the digest that tells shortened names apart.
const MARK: usize = 8;

/// The tools' names as a model sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    back: BTreeMap<String, String>,
}

impl Names {
    /// Fits the names of `tools`.
    ///
    /// # Errors
    /// [`ProviderError::NameCollision`]: a call could mean either of two tools.
    pub(crate) fn of(tools: &[ToolSpec]) -> Result<Self, ProviderError> {
        let mut back = BTreeMap::new();
        for tool in tools {
            let fitted = fitted(&tool.name);
            if let Some(first) = back.insert(fitted.clone(), tool.name.clone()) {
                return Err(ProviderError::NameCollision {
                    first,
                    second: tool.name.clone(),
                    fitted,
                });
            }
        }
        Ok(Self { back })
    }

    /// The tool that a model means; a name that was never offered stays as it is, so that whoever
    /// looks the tool up can say which there is not.
    pub(crate) fn original<'a>(&'a self, fitted: &'a str) -> &'a str {
        self.back.get(fitted).map_or(fitted, String::as_str)
    }
}

/// A name of `[A-Za-z_][A-Za-z0-9_-]{0,63}` for the tool `name`, written `server__tool`. One that
/// is like that already stays; any other ends in a digest of the whole.
pub(crate) fn fitted(name: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.len() <= MOST && name.chars().all(inside) {
        return name.to_owned();
    }
    let (server, tool) = name.split_once("__").unwrap_or(("", name));
    let mut whole = server.as_bytes().to_vec();
    whole.push(0);
    whole.extend_from_slice(tool.as_bytes());
    let mut short = String::from(if begins { "" } else { "_" });
    short.extend(name.chars().map(|c| if inside(c) { c } else { '_' }).take(MOST - MARK - 2));
    format!("{short}_{}", Digest::of(&whole).short())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn tool(name: &str) -> ToolSpec {
        ToolSpec {
            name: name.into(),
            title: None,
            description: None,
            input_schema: json!({}),
            output_schema: None,
        }
    }

    #[test]
    fn what_fits_stays() {
        for name in ["grid__get_load", "_x", "a-b", &"a".repeat(64)] {
            assert_eq!(fitted(name), name);
        }
    }

    #[test]
    fn what_does_not_fit_is_told_apart() {
        assert_eq!(fitted("files__a.b"), "files__a_b_386a2e7d");
        assert_ne!(fitted("files__a.b"), fitted("files__a b"));
        assert_ne!(fitted(&"a".repeat(65)), fitted(&"a".repeat(66)));
        assert!(fitted("9lives__x").starts_with("_9lives__x_"));
    }

    #[test]
    fn a_collision_is_refused() {
        let fitted = fitted("files__a.b");
        let error = Names::of(&[tool("files__a.b"), tool(&fitted)]).unwrap_err();
        assert_eq!(error.code(), "tool-name-collision");
        assert!(Names::of(&[tool("a__b"), tool("a__b")]).is_err());
    }

    proptest! {
        #[test]
        fn every_name_fits_and_comes_back(name in "\\PC{0,150}") {
            let fitted = fitted(&name);
            let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            prop_assert!((1..=64).contains(&fitted.len()));
            prop_assert!(fitted.chars().all(inside));
            prop_assert!(fitted.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
            let names = Names::of(&[tool(&name)]).unwrap();
            prop_assert_eq!(names.original(&fitted), name);
        }
    }
}
