//! Commands that fetch a program and run it: which package they mean, and whether they say exactly
//! which version.
//!
//! Options are read strictly. What a launcher would understand and this does not is refused, and
//! not guessed: a guess may be of another package than the one that runs.
mod behind;
mod interpreter;
mod npm;
mod python;
mod words;

use std::{fmt, path::Path};

use self::words::{Wanted, Word, Words};
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
    /// A program may start something that fetches, in a way that is not looked into any further.
    #[error("`{program}` is given `{launcher}`, which fetches what it runs")]
    Behind {
        /// The program that is started.
        program: String,
        /// What it may start.
        launcher: String,
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
            Self::NotUnderstood { .. } | Self::Behind { .. } | Self::Installs { .. } => {
                "supply-launcher"
            }
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
            Self::Behind { .. } => {
                "write the launcher itself, with a version: `npx -y PACKAGE@VERSION`, \
                 `uvx PACKAGE==VERSION`; where the word is data, write it as `--OPTION=WORD`"
            }
            Self::Installs { .. } => "install it yourself, and start the program itself",
        }
    }
}

/// Whether `command` may be started as it is, by whatever name its program and its files go.
///
/// # Errors
/// It fetches what it runs.
pub fn starts(command: &[String], resolved: &Path) -> Result<(), Unfit> {
    let launcher = command.first().map(|program| called(program)).unwrap_or_default().to_owned();
    let real = resolved.canonicalize().ok().filter(|real| real.to_str().is_some());
    let is_corepack = real.iter().flat_map(|real| real.iter()).any(|part| part == "corepack");
    if is_corepack {
        return Err(Unfit::NotUnderstood { launcher, what: "corepack".to_owned() });
    }
    let as_found = || {
        let program = real.as_deref().and_then(Path::to_str).map(str::to_owned);
        let program = program.or_else(|| command.first().cloned());
        let args = command.iter().skip(1).map(|argument| leads_to(argument));
        program.into_iter().chain(args).collect::<Vec<_>>()
    };
    let what = match launch(command)? {
        Launch::Local => launch(&as_found())?,
        package @ Launch::Package(_) => package,
    };
    match what {
        Launch::Local => Ok(()),
        Launch::Package(Package { name, version, .. }) => {
            Err(Unfit::Fetched { launcher, name, version })
        }
    }
}

/// Where an argument leads that names a file by another name.
fn leads_to(argument: &str) -> String {
    let path = Path::new(argument);
    let linked = path.is_absolute() && path.is_file();
    let real = linked.then(|| path.canonicalize().ok()).flatten();
    real.and_then(|real| real.to_str().map(str::to_owned)).unwrap_or_else(|| argument.to_owned())
}

/// What `command` does: the program, then its arguments.
///
/// # Errors
/// It fetches what it runs, and nothing says exactly what that is.
pub fn launch(command: &[String]) -> Result<Launch, Unfit> {
    let Some((program, args)) = command.split_first() else { return Ok(Launch::Local) };
    // Some file systems know no capitals.
    let name = called(program).to_ascii_lowercase();
    let words = Words::new(&name, command);
    match name.as_str() {
        "npx" | "npx-cli.js" => npm::npx(words),
        "npm" | "npm-cli.js" => npm::npm(words),
        "bunx" => npm::bunx(words),
        "bun" => npm::bun(words),
        "pnpx" | "pnpx.cjs" | "pnpx.js" => npm::dlx(words),
        "pnpm" | "pnpm.cjs" | "pnpm.js" => npm::pnpm(words),
        "yarn" | "yarnpkg" | "yarn.js" | "yarn.cjs" => npm::yarn(words),
        "uvx" => python::uvx(words),
        "uv" => python::uv(words),
        "pipx" => python::pipx(words),
        "corepack" => Err(words.not_understood(&name)),
        _ if is_pip(&name) => Err(Unfit::Installs { launcher: name }),
        _ if behind::is_shell(&name) => behind::shell(&name, args),
        _ => interpreter::read(&name, args),
    }
}

/// What a launcher starts in its turn, which has to be there.
fn nested(words: &Words<'_>, command: &[String]) -> Result<Launch, Unfit> {
    match launch(command) {
        Ok(Launch::Local) => Ok(Launch::Local),
        Ok(Launch::Package(_)) | Err(_) => {
            let launcher = command.first().map(|word| called(word)).unwrap_or_default().to_owned();
            Err(Unfit::Behind { program: words.launcher.clone(), launcher })
        }
    }
}

/// What a program is called, wherever it is, and on whatever system.
fn called(program: &str) -> &str {
    let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program);
    let endings = [".cmd", ".exe", ".ps1", ".bat"];
    let ends = name.len().checked_sub(4).and_then(|at| name.split_at_checked(at));
    let ends =
        ends.filter(|(_, end)| endings.iter().any(|ending| ending.eq_ignore_ascii_case(end)));
    ends.map_or(name, |(name, _)| name)
}

fn is_pip(name: &str) -> bool {
    let rest = name.strip_prefix("pip");
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// Whether something that fetches programs is called so.
fn fetches(name: &str) -> bool {
    const NAMES: [&str; 24] = [
        "npx",
        "npm",
        "bunx",
        "bun",
        "pnpx",
        "pnpm",
        "yarn",
        "yarnpkg",
        "uvx",
        "uv",
        "pipx",
        "corepack",
        "deno",
        "npx-cli",
        "npm-cli",
        "npx-cli.js",
        "npm-cli.js",
        "pnpm.cjs",
        "pnpx.cjs",
        "pnpm.js",
        "pnpx.js",
        "yarn.js",
        "yarn.cjs",
        "easy_install",
    ];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || is_pip(&name)
}

/// Whether it names something that is not here.
fn is_elsewhere(text: &str) -> bool {
    text.contains("://") || ["npm:", "jsr:", "data:", "git+"].iter().any(|s| text.starts_with(s))
}
