//! `uvx` and its like.
use super::{Ecosystem, Launch, Package, Unfit, Wanted, Word, Words, is_elsewhere, nested};

/// Options that change nothing of what is run.
const IDLE: [&str; 8] = [
    "-q",
    "--quiet",
    "--isolated",
    "--no-cache",
    "-n",
    "--refresh",
    "--no-progress",
    "--no-config",
];

pub(super) fn uvx(words: Words<'_>) -> Result<Launch, Unfit> {
    run(words, "--from")
}

pub(super) fn uv(mut words: Words<'_>) -> Result<Launch, Unfit> {
    loop {
        match words.next() {
            Some(Word::Option(name, None)) if IDLE.contains(&name) => {}
            Some(Word::Plain("tool")) => {
                return match words.next() {
                    Some(Word::Plain("run")) => {
                        words.launcher.push_str(" tool run");
                        run(words, "--from")
                    }
                    Some(Word::Plain(_) | Word::Option(..) | Word::End) | None => {
                        Err(words.not_understood("tool"))
                    }
                };
            }
            Some(Word::Plain("x")) => return Err(words.not_understood("x")),
            Some(Word::Plain("pip")) => {
                return Err(Unfit::Installs { launcher: "uv pip".to_owned() });
            }
            // A project that is there, with its lock; or a script, which may name what it needs.
            Some(Word::Plain("run")) => return in_project(words),
            Some(Word::Plain(name)) => return Err(words.not_understood(name)),
            Some(Word::End) => return Err(words.not_understood("--")),
            None => return Ok(Launch::Local),
            Some(Word::Option("--directory" | "--project", value)) => {
                words.value("--directory", value)?;
            }
            Some(Word::Option(name, _)) => return Err(words.not_understood(name)),
        }
    }
}

/// `uv run`: what it adds to the project is not in the project's lock.
fn in_project(mut words: Words<'_>) -> Result<Launch, Unfit> {
    loop {
        match words.next() {
            Some(Word::Option("--directory" | "--project" | "--package" | "--group", value)) => {
                words.value("--directory", value)?;
            }
            Some(Word::Option("-p" | "--python", value)) => {
                words.value("--python", value)?;
            }
            Some(Word::Option(name, None))
                if IDLE.contains(&name)
                    || ["--frozen", "--locked", "--no-sync", "--offline", "--no-dev"]
                        .contains(&name) => {}
            Some(Word::Option("-m" | "--module", None)) => {
                return nested(&words, &python(&["-m"], words.rest()));
            }
            Some(Word::Option(name, _)) => return Err(words.not_understood(name)),
            Some(Word::Plain(text)) if is_elsewhere(text) => return Err(words.elsewhere(text)),
            Some(Word::Plain(text)) if text.ends_with(".py") || text.ends_with(".pyw") => {
                return nested(&words, &python(&[], words.last_and_rest()));
            }
            Some(Word::Plain(_)) => return nested(&words, &words.last_and_rest()),
            Some(Word::End) => {}
            None => return Ok(Launch::Local),
        }
    }
}

/// What Python is given.
fn python(options: &[&str], rest: Vec<String>) -> Vec<String> {
    let front = std::iter::once(&"python").chain(options).map(|&word| word.to_owned());
    front.chain(rest).collect()
}

pub(super) fn pipx(mut words: Words<'_>) -> Result<Launch, Unfit> {
    match words.next() {
        Some(Word::Plain("run")) => {
            words.launcher.push_str(" run");
            run(words, "--spec")
        }
        Some(Word::Plain("install" | "inject" | "upgrade")) => {
            Err(Unfit::Installs { launcher: "pipx".to_owned() })
        }
        Some(Word::Plain(what) | Word::Option(what, _)) => Err(words.not_understood(what)),
        Some(Word::End) => Err(words.not_understood("--")),
        None => Ok(Launch::Local),
    }
}

/// Options, then a package and its arguments; or a program of the package that the option `from`
/// names.
fn run<'a>(mut words: Words<'a>, from: &str) -> Result<Launch, Unfit> {
    let mut named: Option<Wanted<'a>> = None;
    let mut with = Vec::new();
    loop {
        match words.next() {
            Some(Word::Option(name, None)) if IDLE.contains(&name) => {}
            Some(Word::Option(name, value)) if name == from => {
                if named.replace(words.value(name, value)?).is_some() {
                    return Err(words.not_understood(name));
                }
            }
            Some(Word::Option(name @ "--with", value)) if from == "--from" => {
                with.push(words.value(name, value)?);
            }
            // Which interpreter it is asked for; the one that is there is taken.
            Some(Word::Option(name @ ("-p" | "--python"), value)) => {
                words.value(name, value)?;
            }
            Some(Word::Option(name, _)) => return Err(words.not_understood(name)),
            Some(Word::End) => {}
            Some(Word::Plain(text)) => {
                let wanted = named.unwrap_or_else(|| words.last(text));
                let program = named.is_some().then(|| text.to_owned());
                return package(&words, wanted, (program, &with));
            }
            None => return Err(words.not_understood("the end, where a package should stand")),
        }
    }
}

fn package(
    words: &Words<'_>,
    wanted: Wanted<'_>,
    (program, with): (Option<String>, &[Wanted<'_>]),
) -> Result<Launch, Unfit> {
    let text = wanted.text;
    let along = with.iter().map(|one| {
        let (name, extras, version) = pinned(words, *one)?;
        if extras.is_empty() { Ok((name, version)) } else { Err(words.not_understood(one.text)) }
    });
    // What is beside what is run runs too.
    let along = along.collect::<Result<Vec<_>, _>>()?;
    if ["./", "../", "/", "file:"].iter().any(|start| text.starts_with(start)) || text == "." {
        return match with.first() {
            Some(one) => Err(words.not_understood(&format!("--with {}", one.text))),
            None => Ok(Launch::Local),
        };
    }
    let (name, extras, version) = pinned(words, wanted)?;
    Ok(Launch::Package(Package {
        ecosystem: Ecosystem::Python,
        with: along,
        program,
        args: words.rest(),
        name,
        extras,
        version,
    }))
}

/// A name, the parts that are wanted beside it, and a version.
type Pinned = (String, Vec<String>, String);

/// `name==1.2`, `name[part]==1.2` or `name@1.2`.
fn pinned(words: &Words<'_>, wanted: Wanted<'_>) -> Result<Pinned, Unfit> {
    let text = wanted.text;
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    let (name, rest) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
    if !is_name(name) || text.contains("://") {
        return Err(words.elsewhere(text));
    }
    let (extras, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(|| words.not_understood(text))?,
        None => ("", rest),
    };
    let all: Vec<_> = extras.split(',').filter(|e| !e.is_empty()).map(str::to_owned).collect();
    if !all.iter().all(|extra| is_name(extra)) {
        return Err(words.not_understood(text));
    }
    let version = rest.strip_prefix("==").or_else(|| rest.strip_prefix('@'));
    if let Some(version) = version.filter(|version| is_version(version)) {
        return Ok((name.to_owned(), all, version.to_owned()));
    }
    let known = rest.is_empty() || rest.starts_with(['=', '<', '>', '~', '!', '@']);
    if !known {
        return Err(words.not_understood(text));
    }
    let parts = if all.is_empty() { String::new() } else { format!("[{}]", all.join(",")) };
    Err(words.unpinned((Ecosystem::Python, name), wanted, &format!("{name}{parts}==")))
}

/// Whether it names a package, and no path.
pub(crate) fn is_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(name.chars().next())
        && edge(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && name.len() <= 128
}

/// Whether it is exactly one version: digits, then what Python's versions may have after them.
pub(crate) fn is_version(version: &str) -> bool {
    let (version, local) = version.split_once('+').unwrap_or((version, "0"));
    let release = version.split_once('!').map_or(version, |(_, release)| release);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '.';
    release.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| known(c) || c == '!')
        && version.split(['.', '!']).all(|part| !part.is_empty())
        && !local.is_empty()
        && local.chars().all(known)
        && version.len() <= 128
}
