//! What a program needs of the file system to run at all.
use std::{
    collections::BTreeSet,
    fs::File,
    io::Read as _,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use self::shared::Shared;

pub(crate) mod shared;

/// Programs that run the code of others.
const INTERPRETERS: &[&str] = &[
    "node", "nodejs", "python", "pypy", "ruby", "perl", "deno", "bun", "bash", "sh", "dash", "zsh",
    "php", "java", "env", "uv", "tsx",
];

/// Where the system's software is: an isolated program sees it without being told.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Files that mark the folder of a program's sources.
const MARKS: &[&str] = &[
    "package.json",
    "pyproject.toml",
    "setup.py",
    "deno.json",
    "deno.jsonc",
    "Gemfile",
    "composer.json",
];

/// How far a script's interpreter may be a script itself.
const SCRIPTS: usize = 3;
/// The longest first line of a script that is looked at, in bytes.
const LINE_BYTES: u64 = 512;

/// Whether `program`, by its name, runs code that is named in its arguments.
#[must_use]
pub fn is_interpreter(program: &Path) -> bool {
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    INTERPRETERS.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

/// What `program`, which runs the files `code`, is made of, beside the system's software: its own
/// file, the installation that it is the interpreter of, the folder of its sources. Data that it
/// works on is not among it.
///
/// A folder is given only where it is the program's own; of a folder that holds other things, such
/// as somebody's `home`, only the file. Looks at the file system.
#[must_use]
pub fn own_files(program: &Path, code: &[PathBuf], home: Option<&Path>) -> BTreeSet<PathBuf> {
    let mut own = Own { shared: Shared::of(home), files: BTreeSet::new() };
    own.program(program, SCRIPTS);
    for file in code {
        own.source(file);
    }
    // What lies in a folder that is given need not be named, unless a link leads there.
    let whole = own.files.clone();
    let is_within = |path: &Path| path.ancestors().skip(1).any(|above| whole.contains(above));
    let is_real = |path: &Path| path.canonicalize().is_ok_and(|real| real == path);
    own.files.retain(|path| !(is_within(path) && is_real(path)));
    own.files
}

struct Own {
    shared: Shared,
    files: BTreeSet<PathBuf>,
}

impl Own {
    /// The names of a file: as given, and where its links lead in the end. What is not there has
    /// none, and a name with `..` says nothing of what lies above.
    fn names(path: &Path) -> Vec<PathBuf> {
        let Ok(real) = path.canonicalize() else { return Vec::new() };
        let is_plain = real != path && !path.components().any(|part| part == Component::ParentDir);
        let mut names = vec![real];
        names.extend(is_plain.then(|| path.to_owned()));
        names
    }

    fn add(&mut self, path: PathBuf) {
        if !is_systems(&path) && path.exists() && !self.shared.has(&path) {
            self.files.insert(path);
        }
    }

    fn program(&mut self, program: &Path, deeper: usize) {
        let interprets = is_interpreter(program);
        for name in Self::names(program) {
            if interprets && let Some(prefix) = self.installation(&name) {
                self.add(prefix);
            }
            self.libraries(&name);
            self.add(name);
        }
        let Some(interpreter) = first_line(program).filter(|_| deeper > 0) else { return };
        if is_program(&interpreter) {
            self.program(&interpreter, deeper - 1);
        }
        // What a script calls its interpreter gets nothing for being a script.
        if deeper == SCRIPTS {
            self.source(program);
        }
    }

    /// The folder that an interpreter and its library are installed in.
    fn installation(&self, program: &Path) -> Option<PathBuf> {
        let folder = program.parent()?;
        let is_of_programs = ["bin", "shims", ".bin"].iter().any(|name| folder.ends_with(name));
        let prefix = folder.parent().filter(|_| is_of_programs)?;
        let marks = ["lib", "pyvenv.cfg", "versions"];
        let is_one = marks.iter().any(|mark| prefix.join(mark).exists());
        (is_one && !self.shared.has(prefix)).then(|| prefix.to_owned())
    }

    /// Libraries that a program brings along.
    fn libraries(&mut self, program: &Path) {
        let Some(prefix) = program.parent().filter(|f| f.ends_with("bin")).and_then(Path::parent)
        else {
            return;
        };
        if !self.shared.has(prefix) {
            let folders = ["lib", "lib64"].map(|name| prefix.join(name));
            folders
                .into_iter()
                .filter(|folder| folder.is_dir())
                .for_each(|folder| self.add(folder));
        }
    }

    fn source(&mut self, file: &Path) {
        for name in Self::names(file) {
            let folder = self.sources_of(&name);
            self.add(folder.unwrap_or_else(|| name.clone()));
            self.add(name);
        }
    }

    /// The folder of the sources that `file` is part of.
    fn sources_of(&self, file: &Path) -> Option<PathBuf> {
        // Packages of Node find each other from the outermost such folder down.
        let parts: Vec<_> = file.components().collect();
        let is_packages = |part: &Component<'_>| part.as_os_str() == "node_modules";
        if let Some(at) = parts.iter().position(is_packages) {
            let folder: PathBuf = parts.iter().take(at + 1).collect();
            return Some(folder);
        }
        let folder = file.parent()?;
        let mut above = folder.ancestors().take_while(|folder| !self.shared.has(folder));
        let marked = above.find(|folder| MARKS.iter().any(|mark| folder.join(mark).exists()));
        let found = marked.or_else(|| Some(folder).filter(|folder| !self.shared.has(folder)));
        found.map(Path::to_owned)
    }
}

/// Whether all kinds of things are in a folder, so that it is no program's own; `home` is that of
/// whoever asks. One that cannot be looked at is nobody's own either. Looks at the file system.
#[must_use]
pub fn is_shared(folder: &Path, home: Option<&Path>) -> bool {
    Shared::of(home).has(folder)
}

fn is_systems(path: &Path) -> bool {
    SYSTEM.iter().any(|system| path.starts_with(system))
}

/// What a script names as its interpreter in its first line.
fn first_line(program: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    File::open(program).ok()?.take(LINE_BYTES).read_to_end(&mut line).ok()?;
    let line = line.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    let mut words = line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let path = Path::new(std::ffi::OsStr::from_bytes(words.next()?)).to_owned();
    Some(path)
}

/// Whether it is one, by a path that leads straight there.
fn is_program(path: &Path) -> bool {
    let is_straight = path.is_absolute() && !path.components().any(|p| p == Component::ParentDir);
    let about = path.metadata();
    is_straight && about.is_ok_and(|a| a.is_file() && a.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes files below a folder, with what they hold.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn needed(root: &Path, program: &str, code: &[&str]) -> Vec<String> {
        let code: Vec<_> = code.iter().map(|file| root.join(file)).collect();
        let home = root.join("home");
        let own = own_files(&root.join(program), &code, Some(&home));
        own.iter().map(|p| p.strip_prefix(root).unwrap_or(p).display().to_string()).collect()
    }

    #[test]
    fn a_program_needs_its_own_and_no_more() {
        let tree = tree(&[
            ("py/bin/python3.12", ""),
            ("py/lib/python3.12/os.py", ""),
            ("home/.local/bin/python3", ""),
            ("home/.local/lib/x", ""),
            ("home/venv/bin/serve", "#!/nowhere/venv/bin/python\n"),
            ("home/server.py", ""),
            ("home/project/pyproject.toml", ""),
            ("home/project/src/deep/server.py", ""),
            ("home/one/server.js", ""),
            ("npm/node_modules/@a/b/dist/index.js", ""),
            ("npm/node_modules/@a/b/package.json", ""),
            ("own/bin/server", "\u{7f}ELF"),
            ("own/lib/libx.so", ""),
            ("own/etc/secret", ""),
        ]);
        let root = tree.path().canonicalize().unwrap();
        for (program, code, expected) in [
            (
                "py/bin/python3.12",
                &["home/project/src/deep/server.py"][..],
                &["home/project", "py"][..],
            ),
            // A folder of somebody's is not given for a file in it.
            ("py/bin/python3.12", &["home/server.py"], &["home/server.py", "py"]),
            ("home/.local/bin/python3", &[], &["home/.local/bin/python3"]),
            ("py/bin/python3.12", &["home/one/server.js"], &["home/one", "py"]),
            (
                "py/bin/python3.12",
                &["npm/node_modules/@a/b/dist/index.js"],
                &["npm/node_modules", "py"],
            ),
            ("own/bin/server", &[], &["own/bin/server", "own/lib"]),
            ("home/venv/bin/serve", &[], &["home/venv/bin"]),
        ] {
            assert_eq!(needed(&root, program, code), expected, "{program} {code:?}");
        }
    }

    /// A script is its author's, who must not come to what is others' by its first line.
    #[test]
    fn a_first_line_gives_no_more_than_an_interpreter() {
        let tree = tree(&[
            ("srv/app/run.sh", ""),
            ("home/.ssh/id", "key"),
            ("home/other/tool", "#!/bin/sh\n"),
            ("home/other/data", ""),
        ]);
        let root = tree.path().canonicalize().unwrap();
        let tool = root.join("home/other/tool");
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(root.join("srv/app/links")).unwrap();
        std::os::unix::fs::symlink("/", root.join("srv/app/links/all")).unwrap();
        let app = vec![String::from("srv/app")];
        for (line, expected) in [
            ("/etc/../bin/sh".to_owned(), app.clone()),
            ("/etc/./../bin/sh".to_owned(), app.clone()),
            ("/nowhere/bin/python3".to_owned(), app.clone()),
            (root.join("srv/app/links/all/bin/sh").display().to_string(), {
                vec![app[0].clone(), "srv/app/links/all/bin/sh".into()]
            }),
            (root.join("home/.ssh/id").display().to_string(), app.clone()),
            (tool.display().to_string(), vec!["home/other/tool".into(), app[0].clone()]),
        ] {
            std::fs::write(root.join("srv/app/run.sh"), format!("#!{line}\n")).unwrap();
            assert_eq!(needed(&root, "srv/app/run.sh", &[]), expected, "{line}");
        }
    }

    #[test]
    fn a_home_is_a_home_by_every_name() {
        let tree = tree(&[("real/server.py", ""), ("real/.ssh/id", ""), ("real/bin/python3", "")]);
        let root = tree.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real/lib")).unwrap();
        std::os::unix::fs::symlink("real", root.join("home")).unwrap();
        for (home, given) in [("home", "real"), ("real", "home"), ("home", "home")] {
            let file = root.join(given).join("server.py");
            let program = root.join(given).join("bin/python3");
            for code in [vec![file.clone()], vec![root.join("real/../real/server.py")]] {
                let own = own_files(&program, &code, Some(&root.join(home)));
                assert!(own.iter().all(|path| path.is_file()), "{home} {given}: {own:?}");
            }
        }
        assert!(is_shared(&root, Some(&root.join("home"))), "a home lies in it");
        assert!(is_shared(&root.join("absent"), None));
    }

    #[test]
    fn what_the_system_has_need_not_be_named() {
        assert_eq!(own_files(Path::new("/usr/bin/env"), &[], None), BTreeSet::new());
        assert_eq!(own_files(Path::new("/bin/sh"), &[], None), BTreeSet::new());
    }

    #[test]
    fn interpreters_are_known_by_their_names() {
        for (name, is) in [
            ("/usr/bin/python3.12", true),
            ("/opt/node", true),
            ("/usr/bin/nodejs", true),
            ("/usr/bin/pythonista", false),
            ("/srv/server", false),
        ] {
            assert_eq!(is_interpreter(Path::new(name)), is, "{name}");
        }
    }
}
