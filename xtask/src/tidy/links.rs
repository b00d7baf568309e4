//! Links between the repository's Markdown files lead somewhere, and paths that they name exist.
use std::collections::BTreeSet;

use regex::Regex;

use crate::tree::Tree;

const LINK: &str = r#"\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)"#;

/// A code span that names a file or folder of this repository; what is spelt in capitals stands
/// for something else.
const PATH: &str = r"`((?:crates|docs|fuzz|tests|xtask|\.ci)/[a-z0-9_./-]+)`";

/// Links that lead nowhere.
pub(super) fn check(tree: &Tree) -> Result<Vec<String>, String> {
    let rule = |text| Regex::new(text).map_err(|error| error.to_string());
    let (link, path) = (rule(LINK)?, rule(PATH)?);
    let mut problems = Vec::new();
    for file in tree.ending(".md") {
        for (n, line) in file.text.lines().enumerate() {
            let named = path.captures_iter(line).filter_map(|found| found.get(1));
            let gone = named.filter(|path| !exists(tree, path.as_str()));
            problems.extend(gone.map(|path| {
                let (at, n, path) = (&file.path, n + 1, path.as_str());
                format!("{at}:{n}: `{path}`: there is no such file")
            }));
        }
        for (n, line) in prose(&file.text) {
            for found in link.captures_iter(&line) {
                let target = found.get(1).map(|target| target.as_str()).unwrap_or_default();
                if let Some(problem) = wrong(tree, &file.path, target) {
                    problems.push(format!("{}:{n}: `{target}`: {problem}", file.path));
                }
            }
        }
    }
    Ok(problems)
}

/// Lines outside code blocks, numbered, without code spans.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(n, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        let outside = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        (!fenced).then_some((n + 1, outside))
    })
}

fn wrong(tree: &Tree, from: &str, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { Some(from.to_owned()) } else { resolved(from, path) };
    let Some(path) = path else { return Some("leads out of the repository") };
    if !exists(tree, &path) {
        return Some("there is no such file");
    }
    if heading.is_empty() {
        return None;
    }
    let text = tree.text(&path).unwrap_or_default();
    (!headings(text).contains(heading)).then_some("there is no such heading")
}

/// Whether there is a file or a folder of that path.
fn exists(tree: &Tree, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let mut known = tree.paths.iter().filter_map(|known| known.strip_prefix(path));
    known.any(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `path` as seen from the file `from`, relative to the root.
fn resolved(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a file's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words.chars().filter(|c| plain(*c)).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Text;

    #[test]
    fn paths_that_do_not_exist_are_found() {
        let text = "see `docs/a.md`, `docs/`, `docs/gone.md`, `docs/NAME.md` and `crates/x`";
        let file = Text { path: "docs/a.md".to_owned(), text: text.to_owned() };
        let tree = Tree { root: "".into(), files: vec![file], paths: vec!["docs/a.md".into()] };
        let problems = check(&tree).unwrap();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let text = "# A heading: yes\n[a](#a-heading-yes) [b](../b.md) [c](gone.md) [d](#gone)\n\
                    [e](../../out.md) [f](https://example.org) `[g](no.md)`\n```\n[h](no.md)\n```\n[i](..)";
        let files = vec![
            Text { path: "docs/a.md".to_owned(), text: text.to_owned() },
            Text { path: "b.md".to_owned(), text: String::new() },
        ];
        let paths = files.iter().map(|file| file.path.clone()).collect();
        let tree = Tree { root: "".into(), files, paths };
        let problems = check(&tree).unwrap();
        let targets: Vec<_> = problems.iter().filter_map(|p| p.split('`').nth(1)).collect();
        assert_eq!(targets, ["gone.md", "#gone", "../../out.md", ".."]);
    }
}
