//! How large files are, what they are called, and where unsafe code is.
use std::str::FromStr as _;

use proc_macro2::{TokenStream, TokenTree};

use crate::tree::{Text, Tree};

/// No source file has more lines.
const MOST: usize = 600;
/// What to aim at.
const AIM: usize = 500;
/// Files that are tables, and as long as what they list.
const TABLES: &[&str] = &[];
/// The one way of a call fits a few screens.
const PIPELINE: (&str, usize) = ("crates/tagout-gateway/src/pipeline.rs", 150);

/// Names that say nothing, and so collect everything.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "types", "helpers", "manager", "service", "processor", "misc"];

/// The one crate that may hold unsafe code.
const MAY_BE_UNSAFE: &str = "tagout-sandbox";

/// Files that are too large, and those that are large.
pub(super) fn check(tree: &Tree) -> (Vec<String>, Vec<String>) {
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    for file in tree.ending(".rs") {
        let (path, lines) = (file.path.as_str(), file.text.lines().count());
        if path == PIPELINE.0 && lines > PIPELINE.1 {
            problems.push(format!("{path}: {lines} lines, at most {}", PIPELINE.1));
        } else if lines > MOST && !TABLES.contains(&path) {
            problems.push(format!("{path}: {lines} lines, at most {MOST}"));
        } else if lines > AIM && !TABLES.contains(&path) {
            notes.push(format!("{path}: {lines} lines, aim at {AIM}"));
        }
        if path.ends_with("/mod.rs") && has_logic(&file.text) {
            problems.push(format!("{path}: a `mod.rs` holds `mod` and `use` lines only"));
        }
    }
    (problems, notes)
}

/// Whether there is more than docs, attributes, modules and uses.
fn has_logic(text: &str) -> bool {
    let Ok(file) = syn::parse_file(text) else { return true };
    !file.items.iter().all(|item| {
        matches!(item, syn::Item::Mod(module) if module.content.is_none())
            || matches!(item, syn::Item::Use(_))
    })
}

/// Names of crates, folders, files and modules that say nothing.
pub(super) fn names(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for file in tree.ending(".rs") {
        let mut names: Vec<String> = file
            .parts()
            .map(|part| part.trim_end_matches(".rs"))
            .flat_map(|part| [part, part.trim_start_matches("tagout-")])
            .map(ToOwned::to_owned)
            .collect();
        names.extend(modules(&file.text));
        names.retain(|name| EMPTY_NAMES.contains(&name.as_str()));
        names.sort();
        names.dedup();
        let found = names.iter().map(|name| format!("{}: `{name}` says nothing", file.path));
        problems.extend(found);
    }
    problems
}

fn modules(text: &str) -> Vec<String> {
    let tokens = flat(text).unwrap_or_default();
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs.filter(|(word, _)| word.0 == "mod").map(|(_, name)| name.0.clone()).collect()
}

/// Unsafe code outside the one crate that may hold it.
pub(super) fn unsafe_places(tree: &Tree) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    let elsewhere = |file: &&Text| file.crate_name() != Some(MAY_BE_UNSAFE);
    for file in tree.ending(".rs").filter(elsewhere) {
        let words = flat(&file.text).map_err(|error| format!("{}: {error}", file.path))?;
        for (_, line) in words.iter().filter(|(word, _)| word == concat!("un", "safe")) {
            let path = &file.path;
            problems.push(format!("{path}:{line}: unsafe code belongs into {MAY_BE_UNSAFE}"));
        }
    }
    Ok(problems)
}

/// Every word of a source text outside comments and strings, with its line.
fn flat(text: &str) -> Result<Vec<(String, usize)>, String> {
    let stream = TokenStream::from_str(text).map_err(|error| error.to_string())?;
    let mut words = Vec::new();
    let mut waiting = vec![stream.into_iter()];
    while let Some(mut stream) = waiting.pop() {
        let Some(token) = stream.next() else { continue };
        waiting.push(stream);
        match token {
            TokenTree::Group(group) => waiting.push(group.stream().into_iter()),
            TokenTree::Ident(word) => words.push((word.to_string(), word.span().start().line)),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str, text: &str) -> Tree {
        let file = Text { path: path.to_owned(), text: text.to_owned() };
        Tree { root: "".into(), files: vec![file], paths: vec![path.to_owned()] }
    }

    #[test]
    fn long_files_are_found() {
        let long = "//\n".repeat(MOST + 1);
        assert_eq!(check(&tree("crates/a/src/b.rs", &long)).0.len(), 1);
        assert_eq!(check(&tree(PIPELINE.0, &"//\n".repeat(151))).0.len(), 1);
        assert_eq!(check(&tree("crates/a/src/b.rs", &"//\n".repeat(501))).1.len(), 1);
        assert_eq!(check(&tree("crates/a/src/b.rs", "//\n")), (vec![], vec![]));
    }

    #[test]
    fn logic_in_a_mod_file_is_found() {
        assert!(has_logic("mod a; pub fn b() {}"));
        assert!(has_logic("mod a { }"));
        assert!(!has_logic("//! Docs.\n#[cfg(test)]\nmod a;\npub use a::B;"));
    }

    #[test]
    fn empty_names_are_found() {
        assert_eq!(names(&tree("crates/a/src/utils.rs", "")).len(), 1);
        assert_eq!(names(&tree("crates/tagout-common/src/b.rs", "")).len(), 1);
        assert_eq!(names(&tree("crates/a/src/b.rs", "mod helpers { }")).len(), 1);
        assert!(names(&tree("crates/a/src/b.rs", "// mod helpers")).is_empty());
    }

    #[test]
    fn unsafe_code_is_found_and_talk_of_it_is_not() {
        let unsafe_block = concat!("fn a() { un", "safe { b() } }");
        let found = |path, text| unsafe_places(&tree(path, text)).unwrap();
        assert_eq!(found("crates/a/src/b.rs", unsafe_block).len(), 1);
        assert!(found("crates/tagout-sandbox/src/danger.rs", unsafe_block).is_empty());
        assert!(found("crates/a/src/b.rs", "// unsafe\nconst A: &str = \"unsafe\";").is_empty());
    }
}
