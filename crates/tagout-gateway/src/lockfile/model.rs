//! Files of language models as they were pinned.
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use tagout_proto::Digest;

use super::{Hints, Lockfile, LockfileError, text::quoted};

/// The file of a language model as it was pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedModel {
    /// Digest of the file.
    pub digest: Digest,
    /// Its length, so that one of another length need not be read to the end.
    pub bytes: u64,
}

/// A model's entry.
pub(super) fn write_model(out: &mut String, path: &Path, model: &PinnedModel) {
    let (header, PinnedModel { digest, bytes }) = (header(path), model);
    let written = write!(out, "\n{header}\ndigest = \"{digest}\"\nbytes = {bytes}\n");
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

fn header(path: &Path) -> String {
    format!("[model.{}]", quoted(&path.to_string_lossy()))
}

/// The lockfile `text`, or a new one, with the file at `path` pinned as `model`. All else stays as it
/// is written, comments too.
///
/// # Errors
/// The text is no lockfile, before or after.
pub fn with_model(
    text: Option<&str>,
    path: &Path,
    model: PinnedModel,
) -> Result<String, LockfileError> {
    let new = Lockfile::default().text(&Hints::default());
    let text = text.unwrap_or(&new);
    let mut wanted = Lockfile::parse("", text)?;
    let header = header(path);
    let mut within = false;
    let mut out = String::new();
    for line in text.lines() {
        within = if line.starts_with('[') { line == header } else { within };
        if !within {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    write_model(&mut out, path, &model);
    wanted.models.insert(PathBuf::from(path), model);
    // An entry that was written by hand in another way is not there twice: then all is written anew.
    let as_wanted = Lockfile::parse("", &out).is_ok_and(|lockfile| lockfile == wanted);
    Ok(if as_wanted { out } else { wanted.text(&Hints::default()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(of: &str) -> PinnedModel {
        PinnedModel { digest: Digest::of(of.as_bytes()), bytes: 7 }
    }

    #[test]
    fn a_model_is_added_and_replaced_and_the_rest_stays() {
        let (a, b) = (Path::new("/a \"b\".gguf"), Path::new("/b.gguf"));
        let one = with_model(None, a, pinned("a")).unwrap();
        let with_server =
            format!("{one}\n# a word of somebody\n[server.s]\noffers_reviewed = true\n");
        let two = with_model(Some(&with_server), b, pinned("b")).unwrap();
        let again = with_model(Some(&two), a, pinned("c")).unwrap();
        let lockfile = Lockfile::parse("", &again).unwrap();
        assert_eq!(lockfile.models.len(), 2);
        assert_eq!(lockfile.models[a], pinned("c"));
        assert_eq!(lockfile.models[b], pinned("b"));
        assert_eq!(lockfile.servers.len(), 1);
        assert_eq!(Lockfile::parse("", &lockfile.text(&Hints::default())).unwrap(), lockfile);
    }

    #[test]
    fn comments_stay() {
        let text = "version = 2\n# why\n[server.s]\noffers_reviewed = true\n";
        let out = with_model(Some(text), Path::new("/a.gguf"), pinned("a")).unwrap();
        assert!(out.starts_with(text), "{out}");
    }

    #[test]
    fn an_entry_of_another_form_is_written_anew() {
        let digest = Digest::of(b"x");
        let text =
            format!("version = 2\n[model]\n\"/a.gguf\" = {{ digest = \"{digest}\", bytes = 1 }}\n");
        let out = with_model(Some(&text), Path::new("/a.gguf"), pinned("a")).unwrap();
        assert_eq!(Lockfile::parse("", &out).unwrap().models[Path::new("/a.gguf")], pinned("a"));
        assert!(with_model(Some("version = 3"), Path::new("/a"), pinned("a")).is_err());
    }
}
