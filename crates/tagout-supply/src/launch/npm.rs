//! `npx` and its like.
use super::{Ecosystem, Launch, Package, Unfit, Wanted, Word, Words};

/// Options that change nothing of what is run.
const IDLE: [&str; 12] = [
    "-y",
    "--yes",
    "-q",
    "--quiet",
    "-s",
    "--silent",
    "--prefer-offline",
    "--prefer-online",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--no-install",
];

pub(super) fn npx(words: Words<'_>) -> Result<Launch, Unfit> {
    run(words, &IDLE)
}

pub(super) fn bunx(words: Words<'_>) -> Result<Launch, Unfit> {
    run(words, &["--bun", "--silent", "-y", "--yes"])
}

pub(super) fn dlx(words: Words<'_>) -> Result<Launch, Unfit> {
    run(words, &["-s", "--silent", "-q", "--quiet"])
}

pub(super) fn npm(words: Words<'_>) -> Result<Launch, Unfit> {
    const RUNS: [&str; 2] = ["exec", "x"];
    const OTHERS: [&str; 4] = ["init", "create", "innit", "it"];
    under(words, (&RUNS, &OTHERS), &IDLE)
}

pub(super) fn bun(words: Words<'_>) -> Result<Launch, Unfit> {
    under(words, (&["x"], &["create", "c"]), &["--bun", "--silent", "-y", "--yes"])
}

pub(super) fn pnpm(words: Words<'_>) -> Result<Launch, Unfit> {
    under(words, (&["dlx"], &["create"]), &["-s", "--silent"])
}

pub(super) fn yarn(words: Words<'_>) -> Result<Launch, Unfit> {
    under(words, (&["dlx"], &["create"]), &["-q", "--quiet"])
}

/// A package manager whose subcommand may fetch and run something: one of the first; others fetch
/// something that is not known before.
fn under(
    mut words: Words<'_>,
    (runs, others): (&[&str], &[&str]),
    idle: &[&str],
) -> Result<Launch, Unfit> {
    let launcher = words.launcher.clone();
    while let Some(word) = words.next() {
        match word {
            Word::Plain(name) if runs.contains(&name) => {
                words.launcher = format!("{launcher} {name}");
                return run(words, idle);
            }
            Word::Plain(name) if others.contains(&name) => return Err(words.not_understood(name)),
            // What is run is a script of a package that is there.
            Word::Plain(_) => return Ok(Launch::Local),
            Word::Option(name, None) if idle.contains(&name) => {}
            Word::Option(name, _) if words.has(runs) || words.has(others) => {
                return Err(words.not_understood(name));
            }
            Word::Option(..) | Word::End => return Ok(Launch::Local),
        }
    }
    Ok(Launch::Local)
}

/// Options, then a package and its arguments; or a program of the package that an option names.
fn run<'a>(mut words: Words<'a>, idle: &[&str]) -> Result<Launch, Unfit> {
    let mut named: Option<Wanted<'a>> = None;
    loop {
        match words.next() {
            Some(Word::Option(name, None)) if idle.contains(&name) => {}
            Some(Word::Option(name @ ("-p" | "--package"), value)) => {
                if named.replace(words.value(name, value)?).is_some() {
                    return Err(words.not_understood("a second `--package`"));
                }
            }
            Some(Word::Option(name, _)) => return Err(words.not_understood(name)),
            Some(Word::End) => {}
            Some(Word::Plain(text)) => {
                let wanted = named.unwrap_or_else(|| words.last(text));
                let program = named.is_some().then(|| text.to_owned());
                return package(&words, wanted, program);
            }
            None => return Err(words.not_understood("the end, where a package should stand")),
        }
    }
}

fn package(
    words: &Words<'_>,
    wanted: Wanted<'_>,
    program: Option<String>,
) -> Result<Launch, Unfit> {
    let text = wanted.text;
    if ["./", "../", "/", "file:"].iter().any(|start| text.starts_with(start)) || text == "." {
        return Ok(Launch::Local);
    }
    let (name, version) = match text.char_indices().skip(1).find(|(_, c)| *c == '@') {
        Some((at, _)) => text.split_at_checked(at).unwrap_or((text, "")),
        None => (text, ""),
    };
    if !is_name(name) {
        return Err(words.elsewhere(text));
    }
    let version = version.strip_prefix('@').unwrap_or_default();
    if is_version(version) {
        return Ok(Launch::Package(Package {
            ecosystem: Ecosystem::Npm,
            name: name.to_owned(),
            extras: Vec::new(),
            version: version.to_owned(),
            with: Vec::new(),
            program,
            args: words.rest(),
        }));
    }
    let is_range = !version.contains([':', '/']);
    if !is_range {
        return Err(words.elsewhere(text));
    }
    Err(words.unpinned((Ecosystem::Npm, name), wanted, &format!("{name}@")))
}

/// Whether it names a package, alone or in a scope, and no path.
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c))
    };
    let sound = match name.strip_prefix('@') {
        Some(scoped) => {
            scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name))
        }
        None => part(name),
    };
    sound && name.len() <= 214
}

/// Whether it is exactly one version, by Semantic Versioning.
pub(crate) fn is_version(version: &str) -> bool {
    let (version, build) = version.split_once('+').unwrap_or((version, "0"));
    let (core, before) = version.split_once('-').unwrap_or((version, "0"));
    let number = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let words = |text: &str| {
        text.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
    };
    let core: Vec<_> = core.split('.').collect();
    core.len() == 3
        && core.iter().all(|part| number(part))
        && words(before)
        && words(build)
        && version.len() <= 256
}
