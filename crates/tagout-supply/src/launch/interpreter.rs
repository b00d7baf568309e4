//! Interpreters: what they are given may be a launcher, or be fetched by themselves.
//!
//! An option that is not known is refused: whether the next word is its value or what is run is not
//! guessed.
use std::path::Path;

use super::{Launch, Unfit, behind, called, fetches, is_elsewhere};

/// Node's options with a value.
const NODE_VALUES: [&str; 18] = [
    "-r",
    "--require",
    "--import",
    "-C",
    "--conditions",
    "--env-file",
    "--env-file-if-exists",
    "--loader",
    "--experimental-loader",
    "--input-type",
    "--watch-path",
    "--title",
    "--unhandled-rejections",
    "--dns-result-order",
    "--max-http-header-size",
    "--disable-warning",
    "--icu-data-dir",
    "--openssl-config",
];

/// Node's options without one.
const NODE_SWITCHES: [&str; 20] = [
    "--enable-source-maps",
    "--throw-deprecation",
    "--pending-deprecation",
    "--trace-warnings",
    "--trace-deprecation",
    "--trace-uncaught",
    "--trace-exit",
    "--preserve-symlinks",
    "--preserve-symlinks-main",
    "--use-system-ca",
    "--use-openssl-ca",
    "--use-bundled-ca",
    "--frozen-intrinsics",
    "--permission",
    "--allow-child-process",
    "--allow-worker",
    "--allow-addons",
    "--expose-gc",
    "--experimental-strip-types",
    "--experimental-vm-modules",
];

const DENO_VALUES: [&str; 9] = [
    "-c",
    "--config",
    "--import-map",
    "-L",
    "--log-level",
    "--seed",
    "--location",
    "--port",
    "--host",
];

const DENO_SWITCHES: [&str; 8] =
    ["-A", "-q", "--quiet", "--cached-only", "--frozen", "--watch", "--check", "--unstable"];

/// What the program called `name` runs; one that is no interpreter may start what it is given.
pub(super) fn read(name: &str, args: &[String]) -> Result<Launch, Unfit> {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let given = Given { name, args };
    match plain {
        "python" | "pypy" | "py" => given.python(),
        "node" | "nodejs" => given.node(),
        "deno" => given.deno(),
        _ => behind::unknown(name, args),
    }
}

/// What an interpreter is given, from where it is read on.
#[derive(Clone, Copy)]
struct Given<'a> {
    name: &'a str,
    args: &'a [String],
}

impl<'a> Given<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    fn refused(self, what: &str) -> Unfit {
        Unfit::NotUnderstood { launcher: self.name.to_owned(), what: what.to_owned() }
    }

    fn value(&mut self, option: &str) -> Result<&'a str, Unfit> {
        self.next().ok_or_else(|| self.refused(option))
    }

    /// Options with one letter may stand together, the last of them with its value.
    fn python(mut self) -> Result<Launch, Unfit> {
        while let Some(word) = self.next() {
            let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                return self.script(word);
            };
            let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
            match letters {
                "-help" | "-version" => return Ok(Launch::Local),
                "-check-hash-based-pycs" => drop(self.value(word)?),
                version if self.name == "py" && is_version(version) => {}
                letters => {
                    if let Some(ends) = self.letters(word, letters)? {
                        return Ok(ends);
                    }
                }
            }
        }
        Ok(Launch::Local)
    }

    /// What the options in a word come to, if they say what is run.
    fn letters(&mut self, word: &'a str, letters: &'a str) -> Result<Option<Launch>, Unfit> {
        for (at, letter) in letters.char_indices() {
            let rest = letters.get(at + 1..).filter(|rest| !rest.is_empty());
            match letter {
                'b' | 'B' | 'd' | 'E' | 'h' | 'i' | 'I' | 'O' | 'P' | 'q' | 's' | 'S' | 'u'
                | 'v' | 'V' | 'x' | '?' => {}
                'W' | 'X' => {
                    if rest.is_none() {
                        self.value(word)?;
                    }
                    return Ok(None);
                }
                'm' => {
                    let module = rest.map_or_else(|| self.value(word), Ok)?;
                    return self.module(module).map(Some);
                }
                'c' => {
                    let code = rest.map_or_else(|| self.value(word), Ok)?;
                    return behind::shell(self.name, &[code.to_owned()]).map(Some);
                }
                _ => return Err(self.refused(word)),
            }
        }
        Ok(None)
    }

    /// A module may run another one that it is given.
    fn module(self, module: &str) -> Result<Launch, Unfit> {
        let package = module.split('.').next().unwrap_or(module);
        if fetches(package) {
            return Err(self.refused(module));
        }
        behind::unknown(self.name, self.args)
    }

    fn node(mut self) -> Result<Launch, Unfit> {
        while let Some(word) = self.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word, None),
            };
            match (option, value) {
                _ if word == "--" => {}
                _ if word == "-" || !word.starts_with('-') => return self.script(word),
                ("-e" | "--eval" | "-p" | "--print" | "-pe", value) => {
                    let code = value.map_or_else(|| self.value(word), Ok)?;
                    return behind::shell(self.name, &[code.to_owned()]);
                }
                (option, value) if NODE_VALUES.contains(&option) => {
                    let value = value.map_or_else(|| self.value(word), Ok)?;
                    self.script(value)?;
                }
                // Its value stands in the same word.
                (_, Some(value)) => drop(self.script(value)?),
                (option, None) if is_node_switch(option) => {}
                (_, None) => return Err(self.refused(word)),
            }
        }
        Ok(Launch::Local)
    }

    /// `deno run` and what is like it; other subcommands fetch.
    fn deno(mut self) -> Result<Launch, Unfit> {
        let mut under = false;
        while let Some(word) = self.next() {
            match word {
                "run" | "serve" | "test" | "bench" | "check" if !under => under = true,
                // A task stands in a file that is there.
                "task" if !under => {
                    return match self.next() {
                        Some(task) if !task.starts_with('-') && !fetches(task) => {
                            behind::unknown(self.name, self.args)
                        }
                        Some(word) => Err(self.refused(word)),
                        None => Ok(Launch::Local),
                    };
                }
                "--" => {}
                word if DENO_VALUES.contains(&word) => {
                    let value = self.value(word)?;
                    self.script(value)?;
                }
                word if is_deno_switch(word) => {}
                word if word.starts_with('-') => match word.split_once('=') {
                    Some((_, value)) if !is_elsewhere(value) => {}
                    Some(_) | None => return Err(self.refused(word)),
                },
                // What is no file may be a subcommand.
                word if !under && !word.contains(['.', '/']) => return Err(self.refused(word)),
                word => return self.script(word),
            }
        }
        Ok(Launch::Local)
    }

    /// All after the script is the program's own.
    fn script(self, script: &str) -> Result<Launch, Unfit> {
        let parts: Vec<_> = Path::new(script).iter().filter_map(|part| part.to_str()).collect();
        let installed = parts.windows(2).any(|pair| match pair {
            [folder, name] => {
                ["node_modules", "site-packages", "dist-packages"].contains(folder) && fetches(name)
            }
            _ => false,
        });
        if installed || fetches(called(script)) || is_elsewhere(script) {
            return Err(self.refused(script));
        }
        Ok(Launch::Local)
    }
}

fn is_node_switch(option: &str) -> bool {
    // All of these are switches.
    NODE_SWITCHES.contains(&option)
        || option.starts_with("--no-")
        || option.starts_with("--harmony")
        || ["--inspect", "--inspect-brk", "--watch", "--help", "--version", "-v", "-h", "-i"]
            .contains(&option)
}

fn is_deno_switch(option: &str) -> bool {
    let starts = ["--allow-", "--deny-", "--no-", "--unstable-"];
    let permitted = |rest: &str| rest.chars().all(|c| "RWNESI".contains(c));
    DENO_SWITCHES.contains(&option)
        || (starts.iter().any(|start| option.starts_with(start)) && !option.contains('='))
        || option.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && permitted(rest))
}
