//! The lines of a file from its end.
use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::{AuditError, files};

const BLOCK_BYTES: u64 = 64 << 10;

/// The lines of a file, the last one first. Half a line at the end is passed over.
#[derive(Debug)]
pub(crate) struct Backward {
    file: File,
    path: PathBuf,
    /// What was read and not given yet.
    buffer: Vec<u8>,
    /// Where in the file `buffer` begins.
    start: u64,
    /// The longest line that is given, in bytes.
    limit: u64,
}

impl Backward {
    /// The lines of the file at `path`, if there is one.
    pub(crate) fn open(path: &Path, limit: u64) -> Result<Option<Self>, AuditError> {
        let Some(file) = files::open_existing(path)? else { return Ok(None) };
        let start = file.metadata().map_err(files::unreadable(path))?.len();
        let (path, buffer) = (path.to_owned(), Vec::new());
        let mut lines = Self { file, path, buffer, start, limit };
        // What comes after the last newline is half a line, or nothing.
        lines.take_last()?;
        Ok(Some(lines))
    }

    /// The line before, without its newline.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, AuditError> {
        if self.buffer.is_empty() && self.start == 0 {
            return Ok(None);
        }
        if self.buffer.is_empty() {
            self.read_block()?;
        }
        self.buffer.pop();
        self.take_last().map(Some)
    }

    /// Takes what comes after the last newline, or everything if there is none.
    fn take_last(&mut self) -> Result<Vec<u8>, AuditError> {
        let mut searched = 0;
        loop {
            let fresh = self.buffer.len().saturating_sub(searched);
            let newline = self.buffer.iter().take(fresh).rposition(|&byte| byte == b'\n');
            if let Some(newline) = newline {
                return Ok(self.buffer.split_off(newline + 1));
            }
            if self.start == 0 {
                return Ok(std::mem::take(&mut self.buffer));
            }
            searched = self.buffer.len();
            if searched as u64 > self.limit {
                let problem = "a line is too long".to_owned();
                return Err(AuditError::Corrupt { path: self.path.clone(), problem });
            }
            self.read_block()?;
        }
    }

    /// Puts the block before in front of the buffer. Blocks grow with it, so that a long line is
    /// not copied over and over.
    fn read_block(&mut self) -> Result<(), AuditError> {
        let length = BLOCK_BYTES.max(self.buffer.len() as u64).min(self.start);
        self.start -= length;
        let mut block = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut block, self.start).map_err(files::unreadable(&self.path))?;
        block.append(&mut self.buffer);
        self.buffer = block;
        Ok(())
    }
}
