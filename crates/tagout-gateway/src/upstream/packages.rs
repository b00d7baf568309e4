//! The package locks that stand with a server's code: what it is made of beside its own files.
use std::path::{Path, PathBuf};

/// What package managers write down of exactly what they installed.
const LOCKS: &[&str] = &[
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
    "deno.lock",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "pdm.lock",
    "Cargo.lock",
    "Gemfile.lock",
    "composer.lock",
];

/// What stands where a package begins.
const MANIFESTS: &[&str] = &[
    ".git",
    "package.json",
    "pyproject.toml",
    "setup.py",
    "Cargo.toml",
    "Gemfile",
    "composer.json",
    "deno.json",
];

/// How many folders above a file are looked into.
const ABOVE: usize = 8;

/// The locks of the package that `file` is part of: those in the nearest folder that has any, as
/// far as its package goes. What is installed as part of another package stands in that one's lock.
pub(super) fn locks_of(file: &Path) -> Vec<PathBuf> {
    let installed = |folder: &Path| {
        let inside = |name: &str| folder.components().any(|part| part.as_os_str() == name);
        inside("node_modules") || inside("site-packages")
    };
    for folder in file.ancestors().skip(1).take(ABOVE) {
        let locks: Vec<_> =
            LOCKS.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect();
        if !locks.is_empty() {
            return locks;
        }
        let begins = MANIFESTS.iter().any(|name| folder.join(name).exists());
        if begins && !installed(folder) {
            return Vec::new();
        }
    }
    Vec::new()
}

/// The locks beside a program: it is not run from its sources, so no package around it counts.
pub(super) fn locks_beside(program: &Path) -> Vec<PathBuf> {
    let Some(folder) = program.parent() else { return Vec::new() };
    LOCKS.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn locks_are_those_of_the_package() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for file in [
            "outer/package-lock.json",
            "outer/inner/pyproject.toml",
            "outer/inner/src/server.py",
            "outer/plain/server.js",
            "outer/node_modules/tool/package.json",
            "outer/node_modules/tool/dist/index.js",
            "two/uv.lock",
            "two/package-lock.json",
            "two/server.py",
        ] {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), "").unwrap();
        }
        for (file, locks) in [
            ("outer/inner/src/server.py", &[][..]),
            ("outer/plain/server.js", &["outer/package-lock.json"]),
            ("outer/node_modules/tool/dist/index.js", &["outer/package-lock.json"]),
            ("two/server.py", &["two/package-lock.json", "two/uv.lock"]),
        ] {
            let found = locks_of(&at(file));
            let expected: Vec<_> = locks.iter().map(|lock| at(lock)).collect();
            assert_eq!(found, expected, "{file}");
        }
        assert_eq!(locks_beside(&at("two/server.py")).len(), 2);
        assert!(locks_beside(&at("outer/plain/server.js")).is_empty());
    }
}
