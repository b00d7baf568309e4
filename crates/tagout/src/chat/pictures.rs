//! Pictures that tools return: into files, and onto terminals that can show them.
use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use base64::Engine as _;
use tagout_gateway::config::Pictures as Wished;
use tagout_llm::Image;
use tagout_terminal::{Pictures as Shown, Screen, pictures};

use crate::failure::Failure;

/// Where pictures are put.
pub(crate) struct Pictures {
    folder: PathBuf,
    saved: Vec<PathBuf>,
}

impl Pictures {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder, saved: Vec::new() }
    }

    /// Those that were put there, in order.
    pub(crate) fn saved(&self) -> &[PathBuf] {
        &self.saved
    }

    /// Puts a picture into a file of its own, readable by its owner only.
    pub(crate) fn take(
        &mut self,
        record: Option<u64>,
        image: &Image,
    ) -> Result<(Vec<u8>, PathBuf), Failure> {
        let extension = match image.media_type.as_str() {
            "image/png" => "png",
            "image/jpeg" => "jpg",
            "image/webp" => "webp",
            "image/gif" => "gif",
            _ => "bin",
        };
        let number = self.saved.len() + 1;
        let record = record.map_or_else(|| "unrecorded".to_owned(), |record| record.to_string());
        let path = self.folder.join(format!("record-{record}-{number}.{extension}"));
        let failed = |error| Failure::io(&path, error);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(&image.base64);
        let bytes = bytes.map_err(|error| {
            Failure::of(&error, "picture-unreadable", "the server sent no sound picture")
        })?;
        let mut open = OpenOptions::new();
        let mut file =
            open.write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        self.saved.push(path.clone());
        Ok((bytes, path))
    }
}

/// What a terminal is sent to show a picture; nothing where it cannot.
///
/// # Errors
/// Why it is not shown, in words.
pub(crate) fn drawn(
    bytes: &[u8],
    media_type: &str,
    screen: &Screen,
) -> Result<Option<String>, String> {
    pictures::show(bytes, media_type, screen).map_err(|error| error.to_string())
}

/// How the configuration wants pictures shown; nothing where the terminal decides.
pub(crate) const fn wished(pictures: Wished) -> Option<Shown> {
    match pictures {
        Wished::Auto => None,
        Wished::Kitty => Some(Shown::Kitty),
        Wished::Iterm2 => Some(Shown::Iterm2),
        Wished::Sixel => Some(Shown::Sixel),
        Wished::Blocks => Some(Shown::Blocks),
        Wished::Path => Some(Shown::Path),
    }
}
