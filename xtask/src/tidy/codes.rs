//! Every stable error code has a page in `docs/errors/`, and every page has a code.
//!
//! Codes are read from the sources, where they are: in functions called `code`, constants called
//! `CODES`, `#[diagnostic(code("…"))]`, and what the binary hands to `Failure`.
use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenTree;
use syn::{
    Arm, Attribute, Expr, ExprCall, ImplItemConst, ImplItemFn, ItemEnum, LitStr, Meta,
    visit::{self, Visit},
};

use crate::tree::{Text, Tree};

const PAGES: &str = "docs/errors/";
const INDEX: &str = "docs/errors/README.md";

/// What every page has, in this order.
const SECTIONS: [&str; 4] = ["## What happened", "## Why", "## What to do", "## Example"];

/// Enums whose variants are codes by `rename_all = "kebab-case"`.
const ENUMS: &[(&str, &str)] = &[("crates/tagout-host/src/outcome.rs", "Failure")];

/// Crates whose codes no user of Tagout meets.
const NOT_SHIPPED: &[&str] = &["tagout-testkit", "tagout-lab"];

/// What is wrong between codes and pages.
pub(super) fn check(tree: &Tree) -> Result<Vec<String>, String> {
    let mut codes = BTreeMap::new();
    let mut problems = Vec::new();
    let shipped = |file: &&Text| {
        file.is_source() && file.crate_name().is_some_and(|name| !NOT_SHIPPED.contains(&name))
    };
    for file in tree.ending(".rs").filter(shipped) {
        let found = codes_of(&file.path, &file.text)?;
        problems.extend(found.problems);
        codes.extend(found.codes.into_iter().map(|code| (code, file.path.clone())));
    }
    let pages: BTreeMap<_, _> = tree
        .ending(".md")
        .filter(|file| file.path != INDEX)
        .filter_map(|file| Some((file.path.strip_prefix(PAGES)?.strip_suffix(".md")?, file)))
        .collect();
    problems.extend(compared(&codes, &pages, tree.text(INDEX).unwrap_or_default()));
    Ok(problems)
}

fn compared(
    codes: &BTreeMap<String, String>,
    pages: &BTreeMap<&str, &Text>,
    index: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (code, place) in codes {
        match pages.get(code.as_str()) {
            None => problems.push(format!("{place}: `{code}` has no page {PAGES}{code}.md")),
            Some(page) => problems.extend(unfinished(code, page)),
        }
        if !index.contains(&format!("[{code}]({code}.md)")) {
            problems.push(format!("{INDEX}: `{code}` is not listed"));
        }
    }
    let stale = pages.iter().filter(|(code, _)| !codes.contains_key(**code));
    problems.extend(stale.map(|(_, page)| format!("{}: no such code exists", page.path)));
    problems
}

fn unfinished(code: &str, page: &Text) -> Option<String> {
    let mut lines = page.text.lines();
    let titled = lines.next() == Some(&format!("# {code}"));
    // Searched in one pass, so they must stand in this order.
    let whole = SECTIONS.iter().all(|section| lines.any(|line| line == *section));
    let wanted = || format!("`# {code}`, then {}", SECTIONS.join(", "));
    (!titled || !whole).then(|| format!("{}: it needs {}", page.path, wanted()))
}

/// The codes of one source file.
struct Codes<'a> {
    path: &'a str,
    codes: BTreeSet<String>,
    problems: Vec<String>,
    /// Inside something whose every text is a code.
    all: bool,
}

fn codes_of<'a>(path: &'a str, text: &str) -> Result<Codes<'a>, String> {
    let file = syn::parse_file(text).map_err(|error| format!("{path}: {error}"))?;
    let mut codes = Codes { path, codes: BTreeSet::new(), problems: Vec::new(), all: false };
    codes.visit_file(&file);
    let wanted = ENUMS.iter().filter(|(file, _)| *file == path);
    for (_, name) in wanted {
        let found = file.items.iter().any(|i| matches!(i, syn::Item::Enum(e) if e.ident == name));
        if !found {
            codes.problems.push(format!("{path}: there is no enum `{name}`; see codes.rs"));
        }
    }
    Ok(codes)
}

/// Whether a text is written like a code: `policy-denied`, `cancelled`.
fn looks_like_a_code(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(inside)
        && !text.ends_with('-')
}

impl Codes<'_> {
    fn within(&mut self, look: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.all, true);
        look(self);
        self.all = before;
    }

    fn add(&mut self, text: String) {
        if looks_like_a_code(&text) {
            self.codes.insert(text);
        } else {
            self.problems.push(format!("{}: `{text}` is not written like a code", self.path));
        }
    }
}

impl<'ast> Visit<'ast> for Codes<'_> {
    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        if self.all {
            self.add(text.value());
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if function.sig.ident == "code" {
            self.within(|codes| visit::visit_block(codes, &function.block));
        } else {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if self.all && matches!(*arm.body, Expr::Path(_)) {
            let problem = "write codes where they are returned, so that they can be found";
            self.problems.push(format!("{}: {problem}", self.path));
        }
        visit::visit_arm(self, arm);
    }

    fn visit_impl_item_const(&mut self, constant: &'ast ImplItemConst) {
        if constant.ident == "CODES" {
            self.within(|codes| codes.visit_expr(&constant.expr));
        }
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        if ENUMS.iter().any(|(path, name)| *path == self.path && item.ident == name) {
            for variant in &item.variants {
                self.add(kebab(&variant.ident.to_string()));
            }
        }
        visit::visit_item_enum(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        if !list.path.is_ident("diagnostic") {
            return;
        }
        let mut tokens = list.tokens.clone().into_iter();
        while let Some(token) = tokens.next() {
            if !matches!(&token, TokenTree::Ident(word) if word == "code") {
                continue;
            }
            if let Some(TokenTree::Group(group)) = tokens.next() {
                self.add(group.stream().to_string().trim_matches('"').to_owned());
            }
        }
    }

    /// `Failure::new(ended, CODE, …)`, `Failure::usage(CODE, …)`, `Failure::of(error, CODE, …)`.
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let mut named = Vec::new();
        if let Expr::Path(path) = &*call.func {
            named.extend(path.path.segments.iter().map(|segment| segment.ident.to_string()));
        }
        let own = if self.path.ends_with("/failure.rs") { "Self" } else { "Failure" };
        let at = match named.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [.., of, "new" | "of"] if *of == "Failure" || *of == own => Some(1),
            [.., of, "usage"] if *of == "Failure" || *of == own => Some(0),
            _ => None,
        };
        if let Some(Expr::Lit(literal)) = at.and_then(|at| call.args.iter().nth(at)) {
            self.within(|codes| visit::visit_expr_lit(codes, literal));
        }
        visit::visit_expr_call(self, call);
    }
}

/// `NotDispatched` as `not-dispatched`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        codes_of(path, text).unwrap().codes.into_iter().collect()
    }

    #[test]
    fn codes_are_found_where_they_stand() {
        let function = r#"impl A { fn code(&self) -> &str { match self { A => "a-b", B => "c" } }
                          fn text(&self) -> &str { "not-a-code" } }"#;
        assert_eq!(found("crates/a/src/b.rs", function), ["a-b", "c"]);
        let list = r#"impl A { pub const CODES: &[&str] = &["d-e"]; }"#;
        assert_eq!(found("crates/a/src/b.rs", list), ["d-e"]);
        let attribute = r#"#[diagnostic(code("f-g"), help("no-code"))] struct A { #[help] a: u8 }"#;
        assert_eq!(found("crates/a/src/b.rs", attribute), ["f-g"]);
        let calls = r#"fn a() { Failure::usage("h", "no", "no"); crate::Failure::new(E::F, "i", x);
                       Failure::of(&error, "j", "no"); Other::new(E::F, "no-code"); }"#;
        assert_eq!(found("crates/a/src/b.rs", calls), ["h", "i", "j"]);
        let variants = "pub enum Failure { UnknownTool, Timeout }";
        assert_eq!(found(ENUMS[0].0, variants), ["timeout", "unknown-tool"]);
    }

    #[test]
    fn codes_that_cannot_be_found_are_problems() {
        let hidden = "impl A { fn code(&self) -> &str { match self { A => HIDDEN } } }";
        assert_eq!(codes_of("crates/a/src/b.rs", hidden).unwrap().problems.len(), 1);
        let odd = r#"impl A { fn code(&self) -> &str { "Not A Code" } }"#;
        assert_eq!(codes_of("crates/a/src/b.rs", odd).unwrap().problems.len(), 1);
    }

    #[test]
    fn codes_without_pages_and_pages_without_codes_are_found() {
        let page = |code: &str, text: &str| Text {
            path: format!("{PAGES}{code}.md"),
            text: format!("# {code}\n{text}"),
        };
        let good = page("good", &SECTIONS.join("\n"));
        let (stale, empty) = (page("stale", &SECTIONS.join("\n")), page("empty", ""));
        let pages = BTreeMap::from([("good", &good), ("stale", &stale), ("empty", &empty)]);
        let codes = ["good", "empty", "new"].map(|code| (code.to_owned(), "a.rs".to_owned()));
        let index = "[good](good.md) [empty](empty.md) [new](new.md)";
        let problems = compared(&BTreeMap::from(codes.clone()), &pages, index);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(compared(&BTreeMap::from(codes), &pages, "").len(), 6);
    }
}
