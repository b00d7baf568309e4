//! Chores of the repository: `cargo xtask tidy`, `ship`, `examples`, `conformance`, `escape`,
//! `overload` and `fuzz`.
mod conformance;
mod escape;
mod examples;
mod fuzz;
mod overload;
mod ship;
mod tidy;
mod tree;

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use tree::Tree;

const USAGE: &str = "\
cargo xtask tidy                            what the compiler does not check: layers, sizes, docs, words
cargo xtask ship [--check] [--binary FILE]  write, or only compare, the built-in servers' lockfile
cargo xtask examples BINARY                 put the documentation's examples to `tagout check`
cargo xtask conformance [--check] [--binary FILE] [--only direct|same-era|across|client] [--scenario NAME]
                                            run the public conformance suite, and write its table
cargo xtask escape [--json] [--only NAME] [--as root|user] [--write | --check] [--binary FILE]
                                            a hostile program against the isolation of servers
cargo xtask overload [--json] [--seconds N] [--binary FILE]
                                            far more calls than a limit allows, beside a neighbour who behaves
cargo xtask fuzz [--minutes N | --seconds N] [--target NAME]
                                            run the fuzz targets, each for so long; needs cargo-fuzz";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["tidy"] => tidy(),
        ["ship", options @ ..] => ship::Options::parse(options).and_then(|o| ship::ship(&o)),
        ["examples", binary] => examples::examples(binary),
        ["conformance", options @ ..] => {
            conformance::Options::parse(options).and_then(|o| conformance::conformance(&o))
        }
        ["escape", options @ ..] => {
            escape::Options::parse(options).and_then(|o| escape::escape(&o))
        }
        ["overload", options @ ..] => {
            overload::Options::parse(options).and_then(|o| overload::overload(&o))
        }
        ["fuzz", options @ ..] => fuzz::Options::parse(options).and_then(|o| fuzz::fuzz(&o)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(said) => tell(&said, ExitCode::SUCCESS),
        Err(said) => tell(&said, ExitCode::FAILURE),
    }
}

fn tell(said: &str, code: ExitCode) -> ExitCode {
    match writeln!(io::stdout(), "{}", said.trim_end()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn tidy() -> Result<String, String> {
    let report = tidy::check(&Tree::read(root())?)?;
    let mut said = String::new();
    for note in &report.notes {
        said.push_str(&format!("note: {note}\n"));
    }
    for problem in &report.problems {
        said.push_str(&format!("error: {problem}\n"));
    }
    if report.problems.is_empty() {
        Ok(format!("{said}tidy: {} files, all is well", report.files))
    } else {
        Err(format!("{said}tidy: {} problems", report.problems.len()))
    }
}

/// The repository's root.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(ToOwned::to_owned).unwrap_or(here)
}

#[cfg(test)]
mod tests {
    /// So that `cargo test --workspace` finds what `cargo xtask tidy` does.
    #[test]
    fn the_repository_is_tidy() {
        if let Err(problems) = super::tidy() {
            panic!("\n{problems}");
        }
    }
}
