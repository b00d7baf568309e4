//! Programs of servers of which no more is pinned.
use tagout_proto::ServerName;

use super::{Hints, Lockfile, LockfileError, PinnedServer, text::write_program};

/// The lockfile `text`, or a new one, with the program of the server `name` pinned. All else stays
/// as it is written, comments too. Of a server that is pinned already nothing is changed.
///
/// # Errors
/// The text is no lockfile.
pub fn with_program(
    text: Option<&str>,
    name: &ServerName,
    program: &PinnedServer,
) -> Result<String, LockfileError> {
    let new = Lockfile::default().text(&Hints::default());
    let text = text.unwrap_or(&new);
    let mut wanted = Lockfile::parse("", text)?;
    if wanted.servers.contains_key(name) {
        return Ok(text.to_owned());
    }
    let was_there = wanted.programs.insert(name.clone(), program.clone()).is_some();
    let mut out = format!("{}\n", text.trim_end());
    let written = write_program(&mut out, name, program);
    debug_assert!(written.is_ok(), "writing to a string does not fail");
    // One that stands there already is not there twice: then all is written anew.
    let as_wanted =
        !was_there && Lockfile::parse("", &out).is_ok_and(|lockfile| lockfile == wanted);
    Ok(if as_wanted { out } else { wanted.text(&Hints::default()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_added_and_replaced_and_the_rest_stays() {
        let name: ServerName = "files".parse().unwrap();
        let program = |path: &str| PinnedServer {
            command: Some(vec![path.to_owned()]),
            cwd: Some("/srv".into()),
            ..PinnedServer::default()
        };
        let one = with_program(None, &name, &program("/a")).unwrap();
        let read = Lockfile::parse("", &one).unwrap();
        assert_eq!(read.programs.get(&name), Some(&program("/a")));
        assert!(read.servers.is_empty());
        assert_eq!(read.text(&Hints::default()), one);
        let two = with_program(Some(&format!("{one}# mine\n")), &name, &program("/b")).unwrap();
        assert_eq!(Lockfile::parse("", &two).unwrap().programs.get(&name), Some(&program("/b")));
        let pinned = "version = 2\n[server.files]\ncommand = [\"/c\"]\n";
        assert_eq!(with_program(Some(pinned), &name, &program("/a")).unwrap(), pinned);
    }
}
