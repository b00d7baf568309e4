//! Commands that fetch a program and run it: which package they mean, and whether they say exactly
//! which version.
//!
//! Options are read strictly. What a launcher would understand and this does not is refused, and
//! not guessed: a guess may be of another package than the one that runs.
mod npm;
mod python;

use std::{fmt, path::Path};

pub(crate) use self::{npm::is_version as npm_version, python::is_version as python_version};

/// What a command line does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// It runs what is there.
    Local,
    /// It fetches a package, whose version it names exactly, and runs a program of it.
    Package(Package),
}

/// A package, and what is run of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Where it is from.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Parts of it that are left out otherwise.
    pub extras: Vec<String>,
    /// Exactly its version.
    pub version: String,
    /// Packages that are installed along: names and versions.
    pub with: Vec<(String, String)>,
    /// The program of it, where it is named.
    pub program: Option<String>,
    /// The program's arguments.
    pub args: Vec<String>,
}

/// Where packages are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ecosystem {
    /// Node's.
    Npm,
    /// Python's.
    Python,
}

impl Ecosystem {
    /// Its name, as a part of a path.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Python => "pypi",
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a command that fetches something is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It does not say exactly which version.
    #[error("`{}` does not say which version of `{}`: what runs may be another one each time", .0.launcher, .0.name)]
    Unpinned(Box<Unpinned>),
    /// It is fetched from where no version holds it: a repository, a URL, an alias.
    #[error("`{launcher}` fetches `{written}`, which no version of a package holds fast")]
    Elsewhere {
        /// The program that fetches.
        launcher: String,
        /// What it fetches.
        written: String,
    },
    /// It has an option or a form that is not known here.
    #[error("`{launcher}` fetches what it runs, and what `{what}` means there is not known here")]
    NotUnderstood {
        /// The program that fetches.
        launcher: String,
        /// What is not understood.
        what: String,
    },
    /// It would be fetched whenever it is started.
    #[error(
        "`{launcher}` fetches `{name}` {version} whenever it is started, and it is not installed"
    )]
    Fetched {
        /// The program that fetches.
        launcher: String,
        /// The package.
        name: String,
        /// Its version.
        version: String,
    },
    /// It installs, and runs nothing.
    #[error("`{launcher}` installs packages and is no server")]
    Installs {
        /// The program.
        launcher: String,
    },
}

/// A command that does not say which version of a package it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpinned {
    /// The program that fetches.
    pub launcher: String,
    /// Where the package is from.
    pub ecosystem: Ecosystem,
    /// The package.
    pub name: String,
    /// What is asked for, as the package manager reads it.
    pub wanted: String,
    /// The command, around the place where the version belongs.
    line: (Vec<String>, Vec<String>),
    /// What stands there before the version.
    before: String,
}

impl Unpinned {
    /// The command with exactly this version.
    #[must_use]
    pub fn with_version(&self, version: &str) -> Vec<String> {
        let (front, back) = &self.line;
        let pinned = format!("{}{version}", self.before);
        front.iter().cloned().chain([pinned]).chain(back.iter().cloned()).collect()
    }
}

impl Unfit {
    /// The stable codes.
    pub const CODES: &[&str] = &["supply-unpinned", "supply-not-installed", "supply-launcher"];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unpinned(_) | Self::Elsewhere { .. } => "supply-unpinned",
            Self::Fetched { .. } => "supply-not-installed",
            Self::NotUnderstood { .. } | Self::Installs { .. } => "supply-launcher",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Unpinned(_) => "name exactly one version, and add it with `tagout add`",
            Self::Elsewhere { .. } => {
                "name a package and one version of it, or install it yourself"
            }
            Self::Fetched { .. } => "`tagout add NAME -- COMMAND` installs it, checked",
            Self::NotUnderstood { .. } => {
                "start the program itself, or write the launcher's plainest form"
            }
            Self::Installs { .. } => "install it yourself, and start the program itself",
        }
    }
}

/// Whether `command` may be started as it is, by whatever name its program goes.
///
/// # Errors
/// It fetches what it runs.
pub fn starts(command: &[String], resolved: &Path) -> Result<(), Unfit> {
    let as_found = || {
        let real = resolved.canonicalize().ok()?;
        let args = command.get(1..).unwrap_or_default().iter().cloned();
        Some(std::iter::once(real.to_str()?.to_owned()).chain(args).collect::<Vec<_>>())
    };
    let what = match launch(command)? {
        Launch::Local => launch(&as_found().unwrap_or_else(|| command.to_vec()))?,
        package @ Launch::Package(_) => package,
    };
    let launcher = command.first().map(|program| called(program)).unwrap_or_default().to_owned();
    match what {
        Launch::Local => Ok(()),
        Launch::Package(Package { name, version, .. }) => {
            Err(Unfit::Fetched { launcher, name, version })
        }
    }
}

/// What `command` does: the program, then its arguments.
///
/// # Errors
/// It fetches what it runs, and nothing says exactly what that is.
pub fn launch(command: &[String]) -> Result<Launch, Unfit> {
    let Some((program, args)) = command.split_first() else { return Ok(Launch::Local) };
    let name = called(program);
    let words = Words { launcher: name.to_owned(), command, at: 1 };
    match name {
        "npx" => npm::npx(words),
        "npm" => npm::npm(words),
        "bunx" => npm::bunx(words),
        "bun" => npm::bun(words),
        "pnpx" => npm::dlx(words),
        "pnpm" => npm::pnpm(words),
        "yarn" => npm::yarn(words),
        "uvx" => python::uvx(words),
        "uv" => python::uv(words),
        "pipx" => python::pipx(words),
        _ if is_pip(name) => Err(Unfit::Installs { launcher: name.to_owned() }),
        "corepack" | "npx-cli.js" | "npm-cli.js" => Err(words.not_understood(name)),
        "env" | "sh" | "bash" | "dash" | "zsh" | "ash" | "busybox" | "cmd" | "powershell"
        | "pwsh" | "sudo" | "nice" | "nohup" | "timeout" | "xargs" | "setsid" | "stdbuf" => {
            hidden(name, args)
        }
        _ if is_interpreter(name) => interpreted(name, args),
        _ => Ok(Launch::Local),
    }
}

/// What a program is called, wherever it is, and on whatever system.
fn called(program: &str) -> &str {
    let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program);
    let endings = [".cmd", ".exe", ".ps1", ".bat"];
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn is_pip(name: &str) -> bool {
    let rest = name.strip_prefix("pip");
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn is_interpreter(name: &str) -> bool {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    ["node", "nodejs", "python", "pypy", "deno", "py"].contains(&plain)
}

/// Whether something that fetches programs is called so.
fn fetches(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "npx",
        "npm",
        "bunx",
        "bun",
        "pnpx",
        "pnpm",
        "yarn",
        "uvx",
        "uv",
        "pipx",
        "npx-cli.js",
        "npm-cli.js",
    ];
    NAMES.contains(&name) || is_pip(name)
}

/// A program that runs what its arguments say, in a way that is not looked into any further.
fn hidden(name: &str, args: &[String]) -> Result<Launch, Unfit> {
    let separators = |c: char| c.is_whitespace() || ";&|()'\"`$={}<>".contains(c);
    let mut words = args.iter().flat_map(|argument| argument.split(separators));
    match words.find(|word| fetches(called(word))) {
        Some(word) => {
            Err(Unfit::NotUnderstood { launcher: name.to_owned(), what: word.to_owned() })
        }
        None => Ok(Launch::Local),
    }
}

/// An interpreter may be given a launcher as a module or a script, or fetch by itself.
fn interpreted(name: &str, args: &[String]) -> Result<Launch, Unfit> {
    let refused =
        |what: &str| Unfit::NotUnderstood { launcher: name.to_owned(), what: what.to_owned() };
    let mut before = "";
    for argument in args {
        // All after the script or the module is the program's own.
        let module = match (before, argument.strip_prefix("-m")) {
            ("-m", _) => Some(argument.as_str()),
            (_, Some(module)) if !module.is_empty() => Some(module),
            (_, Some(_) | None) => None,
        };
        if let Some(module) = module {
            return if fetches(module) { Err(refused(argument)) } else { Ok(Launch::Local) };
        }
        if name == "deno"
            && ["npm:", "jsr:", "http:", "https:"].iter().any(|s| argument.starts_with(s))
        {
            return Err(refused(argument));
        }
        let is_value =
            ["-W", "-X", "-r", "--require", "--import", "-C", "--conditions"].contains(&before);
        let is_script = !argument.starts_with('-') && !is_value;
        if is_script && (name != "deno" || argument != "run") {
            let fetches = fetches(called(argument)) && before != "-c" && before != "-e";
            return if fetches { Err(refused(argument)) } else { Ok(Launch::Local) };
        }
        before = argument;
    }
    Ok(Launch::Local)
}

/// A command while it is read.
struct Words<'a> {
    launcher: String,
    command: &'a [String],
    /// The place of the next word.
    at: usize,
}

/// A word that is an option, or not.
enum Word<'a> {
    /// An option, and the value after its `=`.
    Option(&'a str, Option<&'a str>),
    /// `--`.
    End,
    Plain(&'a str),
}

/// What is asked for, and where it stands: the word, and what of it stands before.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    text: &'a str,
    at: usize,
    /// What stands before it in its word: an option and its `=`.
    option: &'a str,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<Word<'a>> {
        let word = self.command.get(self.at)?.as_str();
        self.at += 1;
        Some(match word.split_once('=') {
            _ if word == "--" => Word::End,
            Some((option, value)) if word.starts_with('-') => Word::Option(option, Some(value)),
            Some(_) | None if word.starts_with('-') => Word::Option(word, None),
            Some(_) | None => Word::Plain(word),
        })
    }

    /// The value of an option: after its `=`, or the next word.
    fn value(&mut self, option: &'a str, given: Option<&'a str>) -> Result<Wanted<'a>, Unfit> {
        if let Some(text) = given {
            let word = self.command.get(self.at - 1).map_or("", String::as_str);
            let option = word.strip_suffix(text).unwrap_or(option);
            return Ok(Wanted { text, at: self.at - 1, option });
        }
        let text = self.command.get(self.at).ok_or_else(|| self.not_understood(option))?;
        self.at += 1;
        Ok(Wanted { text, at: self.at - 1, option: "" })
    }

    /// The word that was read last, as what is asked for.
    fn last(&self, text: &'a str) -> Wanted<'a> {
        Wanted { text, at: self.at - 1, option: "" }
    }

    fn rest(&self) -> Vec<String> {
        self.command.get(self.at..).unwrap_or_default().to_vec()
    }

    fn not_understood(&self, what: &str) -> Unfit {
        Unfit::NotUnderstood { launcher: self.launcher.clone(), what: what.to_owned() }
    }

    fn elsewhere(&self, written: &str) -> Unfit {
        Unfit::Elsewhere { launcher: self.launcher.clone(), written: written.to_owned() }
    }

    /// The refusal of what names no version; `before` is what stands before one.
    fn unpinned(
        &self,
        (ecosystem, name): (Ecosystem, &str),
        wanted: Wanted<'_>,
        before: &str,
    ) -> Unfit {
        let (front, back) = self.command.split_at_checked(wanted.at).unwrap_or_default();
        Unfit::Unpinned(Box::new(Unpinned {
            launcher: self.launcher.clone(),
            ecosystem,
            name: name.to_owned(),
            wanted: wanted.text.to_owned(),
            line: (front.to_vec(), back.get(1..).unwrap_or_default().to_vec()),
            before: format!("{}{before}", wanted.option),
        }))
    }

    /// Whether one of the words that are left is one of `names`.
    fn has(&self, names: &[&str]) -> bool {
        let left = self.command.get(self.at..).unwrap_or_default();
        left.iter().any(|word| names.contains(&word.as_str()))
    }
}
