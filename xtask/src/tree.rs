//! The repository's files.
use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Larger files are data, not text to look at.
const TEXT_BYTES: u64 = 4 << 20;

/// Folders that hold nothing of the repository's own.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "artifacts", ".venv"];

/// The repository's files, by path relative to its root, sorted.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<Text>,
    /// Every path, also of what is no text.
    pub(crate) paths: Vec<String>,
}

/// A file that is text.
pub(crate) struct Text {
    /// With `/`, relative to the root.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    /// Reads what git knows of, or would know of after `git add`; without git, all there is.
    pub(crate) fn read(root: PathBuf) -> Result<Self, String> {
        let mut paths = match known_to_git(&root) {
            Some(paths) => paths,
            None => walked(&root)?,
        };
        paths.sort();
        paths.retain(|path| root.join(path).is_file());
        let mut files = Vec::new();
        for path in &paths {
            files.extend(text(&root.join(path))?.map(|text| Text { path: path.clone(), text }));
        }
        Ok(Self { root, files, paths })
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Result<&str, String> {
        let found = self.files.iter().find(|file| file.path == path);
        found.map(|file| file.text.as_str()).ok_or_else(|| format!("{path}: there is no such file"))
    }

    /// The files whose path ends so.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a Text> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

impl Text {
    /// The path's parts.
    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.path.split('/')
    }

    /// The crate that the file belongs to, by its folder under `crates/`.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether the file is part of what is built and shipped, and no test.
    pub(crate) fn is_source(&self) -> bool {
        self.parts().nth(2) == Some("src")
    }
}

fn known_to_git(root: &Path) -> Option<Vec<String>> {
    let out = command("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .ok()?;
    let text = String::from_utf8(out.stdout).ok().filter(|_| out.status.success())?;
    Some(text.split_terminator('\0').map(ToOwned::to_owned).collect())
}

fn walked(root: &Path) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !NOT_OURS.contains(&name) {
                folders.push(path);
            } else if let Ok(path) = path.strip_prefix(root) {
                paths.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(paths)
}

/// The content of a file; nothing if it is too large or no text.
pub(crate) fn text(path: &Path) -> Result<Option<String>, String> {
    let failed = |error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > TEXT_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let read = file.take(TEXT_BYTES).read_to_end(&mut bytes);
    read.map_err(failed)?;
    Ok(String::from_utf8(bytes).ok())
}

/// A development tool to run; nothing of this is part of Tagout.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    #[expect(clippy::disallowed_methods, reason = "chores run the developer's own tools")]
    Command::new(program)
}
