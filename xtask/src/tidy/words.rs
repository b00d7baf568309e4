//! Words that do not belong into this repository: it speaks of itself alone.
use regex::Regex;

use crate::tree::Tree;

/// What must not stand in any text, and why. Written so that no pattern finds itself.
const WORDS: &[(&str, &str)] = &[
    (r"/wor[k]/|/roo[t]/|/tm[p]/bash_", "a path of somebody's machine"),
    (r"(?i)\bissues?[ ](?:no\.[ ])?#?\d|\([#]\d+\)", "a number of a tracker"),
    (r"(?i)\bclosing[ ]note\b|\bsub-?agents?[ ]report\b", "how it was made, not what it is"),
    (
        r"(?i)\bcrates[.]io\b|\bpypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|proxy[.]golang",
        "the host name of a package registry",
    ),
];

/// Written by tools, with the addresses that they need.
const NOT_WRITTEN_BY_US: &[&str] = &["Cargo.lock"];

/// Where which of them stands.
pub(super) fn check(tree: &Tree) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    let rules = rules()?;
    for file in &tree.files {
        if file.parts().next_back().is_some_and(|name| NOT_WRITTEN_BY_US.contains(&name)) {
            continue;
        }
        for (n, line) in file.text.lines().enumerate() {
            let (path, n) = (&file.path, n + 1);
            let found = rules.iter().filter_map(|(rule, why)| Some((rule.find(line)?, why)));
            problems.extend(found.map(|(it, why)| format!("{path}:{n}: `{}`: {why}", it.as_str())));
        }
    }
    Ok(problems)
}

fn rules() -> Result<Vec<(Regex, &'static str)>, String> {
    let compiled = WORDS.iter().map(|(rule, why)| Ok((Regex::new(rule)?, *why)));
    compiled.collect::<Result<_, _>>().map_err(|error: regex::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_what_it_is_for_and_nothing_else() {
        let rules = rules().unwrap();
        let finds = |text: &str| rules.iter().any(|(rule, _)| rule.is_match(text));
        for bad in [
            concat!("see /wor", "k/main/x"),
            concat!("/roo", "t/.cargo"),
            concat!("as is", "sue 12 says"),
            concat!("(", "#12)"),
            concat!("crates", ".io"),
            concat!("registry.npm", "js.org"),
        ] {
            assert!(finds(bad), "{bad}");
        }
        for good in ["a session of MCP", "/rooted", "homework/", "issues a token", "crates and io"]
        {
            assert!(!finds(good), "{good}");
        }
    }
}
