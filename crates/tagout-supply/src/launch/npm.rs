//! `npx` and its like.
use super::{
    Ecosystem, Launch, Package, Unfit, Wanted, Word, Words, called, fetches, is_elsewhere, nested,
};

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

/// A package manager's subcommands and options. What stands in none of the lists is refused: it may
/// fetch something.
struct Manager {
    /// Subcommands that fetch a package and run it.
    runs: &'static [&'static str],
    /// Subcommands that run a script of the package that is there.
    scripts: &'static [&'static str],
    /// Subcommands that run a program with its arguments.
    executes: &'static [&'static str],
    /// Whether a file may stand in place of a subcommand.
    files: bool,
    /// Options that change nothing.
    idle: &'static [&'static str],
    /// Options with a value that say where the package is.
    places: &'static [&'static str],
}

const SCRIPTS: [&str; 8] = ["run", "run-script", "start", "stop", "restart", "test", "t", "tst"];

pub(super) fn npm(words: Words<'_>) -> Result<Launch, Unfit> {
    let manager = Manager {
        runs: &["exec", "x"],
        scripts: &SCRIPTS,
        executes: &[],
        files: false,
        idle: &IDLE,
        places: &["--prefix", "-C", "-w", "--workspace", "--loglevel"],
    };
    under(words, &manager)
}

pub(super) fn bun(words: Words<'_>) -> Result<Launch, Unfit> {
    let manager = Manager {
        runs: &["x"],
        scripts: &["run", "start", "test"],
        executes: &[],
        files: true,
        idle: &["--bun", "-b", "--silent", "-y", "--yes", "--watch", "--hot", "--smol"],
        places: &["--cwd"],
    };
    under(words, &manager)
}

pub(super) fn pnpm(words: Words<'_>) -> Result<Launch, Unfit> {
    let manager = Manager {
        runs: &["dlx"],
        scripts: &SCRIPTS,
        executes: &["exec"],
        files: false,
        idle: &["-s", "--silent"],
        places: &["-C", "--dir", "-F", "--filter"],
    };
    under(words, &manager)
}

pub(super) fn yarn(words: Words<'_>) -> Result<Launch, Unfit> {
    let manager = Manager {
        runs: &["dlx"],
        scripts: &["run", "start", "test"],
        executes: &["exec"],
        files: false,
        idle: &["-q", "--quiet", "-s", "--silent"],
        places: &["--cwd"],
    };
    under(words, &manager)
}

/// What a package manager does by its subcommand.
fn under(mut words: Words<'_>, manager: &Manager) -> Result<Launch, Unfit> {
    let mut placed = None;
    while let Some(word) = words.next() {
        match word {
            Word::Plain(name) if manager.runs.contains(&name) => {
                if let Some(option) = placed {
                    return Err(words.not_understood(option));
                }
                words.launcher = format!("{} {name}", words.launcher);
                return run(words, manager.idle);
            }
            Word::Plain(name) if manager.scripts.contains(&name) => {
                return script(words, manager, name.starts_with("run"));
            }
            Word::Plain(name) if manager.executes.contains(&name) => {
                return executed(words);
            }
            Word::Plain(name)
                if manager.files && name.contains(['.', '/']) && !is_elsewhere(name) =>
            {
                return if fetches(called(name)) {
                    Err(words.not_understood(name))
                } else {
                    Ok(Launch::Local)
                };
            }
            Word::Plain(name) => return Err(words.not_understood(name)),
            Word::Option(name, None) if manager.idle.contains(&name) => {}
            Word::Option(name, value) if manager.places.contains(&name) => {
                words.value(name, value)?;
                placed = Some(name);
            }
            Word::Option(name, _) => return Err(words.not_understood(name)),
            Word::End => {}
        }
    }
    Ok(Launch::Local)
}

/// A script of the package that is there. Where it is named, some take a program's name, too.
fn script(mut words: Words<'_>, manager: &Manager, named: bool) -> Result<Launch, Unfit> {
    while let Some(word) = words.next().filter(|_| named) {
        match word {
            Word::Plain(name) if fetches(called(name)) || is_elsewhere(name) => {
                return Err(words.not_understood(name));
            }
            Word::Plain(_) => break,
            Word::Option(name, None) if manager.idle.contains(&name) => {}
            Word::Option(name, value) if manager.places.contains(&name) => {
                words.value(name, value)?;
            }
            Word::Option(name, _) => return Err(words.not_understood(name)),
            Word::End => {}
        }
    }
    Ok(Launch::Local)
}

/// A program and its arguments.
fn executed(mut words: Words<'_>) -> Result<Launch, Unfit> {
    loop {
        match words.next() {
            Some(Word::End) => {}
            Some(Word::Plain(_)) => return nested(&words, &words.last_and_rest()),
            Some(Word::Option(name, _)) => return Err(words.not_understood(name)),
            None => return Ok(Launch::Local),
        }
    }
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
