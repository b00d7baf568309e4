//! The folders that servers are told of.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use std::path::{Path, PathBuf};

use rmcp::model::{ListRootsResult, Root};
use url::Url;

/// As many folders as servers are told of.
const ROOTS: usize = 64;

/// `folders` as servers are told of them: those that there are, by their real places. What a link
/// hides, or a relative path leaves open, would be told otherwise than it is meant.
pub(crate) fn listed(folders: &[PathBuf]) -> ListRootsResult {
    let uris = folders.iter().take(ROOTS).filter_map(|folder| {
        let uri = uri_of(folder);
        if uri.is_none() {
            tracing::warn!(folder = %folder.display(), "is no folder with an absolute path: servers are not told of it");
        }
        uri
    });
    ListRootsResult::new(uris.map(Root::new).collect())
}

fn uri_of(folder: &Path) -> Option<String> {
    let real = folder.is_absolute().then(|| folder.canonicalize().ok()).flatten()?;
    let uri = Url::from_file_path(&real).ok().filter(|_| real.is_dir())?;
    Some(uri.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_told_by_their_real_places() {
        let base = std::env::temp_dir().canonicalize().unwrap();
        let base = base.join(format!("tagout roots #{}", std::process::id()));
        let real = base.join("a b%20ü");
        std::fs::create_dir_all(&real).unwrap();
        std::fs::write(base.join("file"), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&real, base.join("link")).unwrap();
        let folders = [
            base.join("link"),
            base.join("a b%20ü").join("..").join("a b%20ü"),
            base.join("file"),
            base.join("gone"),
            PathBuf::from("relative"),
        ];
        let told = listed(&folders);
        let uris: Vec<_> = told.roots.iter().map(|root| root.uri.as_str()).collect();
        assert_eq!(uris.len(), 2);
        for uri in uris {
            assert!(uri.starts_with("file:///"), "{uri}");
            assert!(uri.ends_with("/a%20b%2520%C3%BC"), "{uri}");
            assert!(uri.contains("%20roots%20%23"), "{uri}");
        }
        std::fs::remove_dir_all(base).unwrap();
    }
}
