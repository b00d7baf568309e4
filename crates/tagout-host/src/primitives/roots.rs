//! The folders that servers are told of.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use std::path::PathBuf;

use rmcp::model::{ListRootsResult, Root};

/// `folders` as servers are told of them.
pub(crate) fn listed(folders: &[PathBuf]) -> ListRootsResult {
    let uri = |folder: &PathBuf| format!("file://{}", folder.display());
    ListRootsResult::new(folders.iter().map(|folder| Root::new(uri(folder))).collect())
}
