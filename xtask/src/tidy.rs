//! What the compiler does not check. Each check is a function from what is there to what is wrong
//! with it, so that its own test can show it something wrong.
mod codes;
mod layers;
mod links;
mod manifests;
mod sizes;
mod words;

use crate::tree::Tree;

/// What was found.
pub(crate) struct Report {
    /// How many files were looked at.
    pub(crate) files: usize,
    /// What is wrong, each with its place.
    pub(crate) problems: Vec<String>,
    /// What is allowed and could be better.
    pub(crate) notes: Vec<String>,
}

/// Looks at everything.
pub(crate) fn check(tree: &Tree) -> Result<Report, String> {
    let mut problems = layers::check(&layers::metadata(&tree.root)?, layers::LAYERS, layers::BANS);
    problems.extend(manifests::check(tree)?);
    let (too_large, notes) = sizes::check(tree);
    problems.extend(too_large);
    problems.extend(sizes::names(tree));
    problems.extend(sizes::unsafe_places(tree)?);
    problems.extend(codes::check(tree)?);
    problems.extend(words::check(tree)?);
    problems.extend(links::check(tree)?);
    Ok(Report { files: tree.files.len(), problems, notes })
}
