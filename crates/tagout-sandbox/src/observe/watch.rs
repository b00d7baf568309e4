//! Answers the calls of a watched program, and notes what they are about.
use std::{
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::FileExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::event::{PollFd, PollFlags, poll};

use super::{
    Deed, Observed,
    calls::{How, Place, opening, places},
    notes::socket_file,
};
use crate::{
    danger::notice::{Notice, answer, next, still_waits},
    jail::seccomp::{FilterOptions, Instruction, Verdict, name_of, program, verdict},
};

/// The longest name that the kernel takes, with its end.
const NAME_BYTES: usize = 4096;
/// The longest address of a socket.
const ADDRESS_BYTES: usize = 128;

/// Returns when nobody is left under the filter.
pub(super) fn watch(listener: &OwnedFd) -> Observed {
    let mut observed = Observed::default();
    let filter = program(&FilterOptions { watched: false });
    loop {
        let mut wanted = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut wanted, None) {
            Ok(_) if wanted.iter().any(|fd| fd.revents().contains(PollFlags::IN)) => {
                // Who gave up its call, or ended, waits for no answer.
                if let Ok(notice) = next(listener) {
                    one(listener, &notice, &filter, &mut observed);
                }
            }
            Ok(_) => return observed,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => {
                observed.incomplete = true;
                return observed;
            }
        }
    }
}

fn one(listener: &OwnedFd, notice: &Notice, filter: &[Instruction], observed: &mut Observed) {
    let name = name_of(notice.call.number);
    let refused = match verdict(filter, &notice.call) {
        Verdict::Allowed => {
            note(listener, notice, &name, observed);
            None
        }
        Verdict::Refused(error) => {
            if is_telling(&name, error) {
                observed.note_refusal(name);
            }
            Some(error)
        }
        // The kernel has ended it already.
        Verdict::Killed => Some(libc::ENOSYS),
    };
    // Who ended in the meantime waits for no answer.
    answer(listener, notice, refused).ok();
}

/// Whether a refusal says something of the program, rather than of the libraries that it uses.
fn is_telling(name: &str, error: i32) -> bool {
    !matches!(error, 0 | libc::ENOTTY | libc::EINVAL) && !matches!(name, "clone3" | "openat2")
}

fn note(listener: &OwnedFd, notice: &Notice, name: &str, observed: &mut Observed) {
    let process = Process(notice.process);
    if matches!(name, "connect" | "bind") {
        let [_, address, length, ..] = notice.call.arguments;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(ADDRESS_BYTES);
        let address = process.memory(address, length);
        // Otherwise it may have been another process's memory.
        if !still_waits(listener, notice) {
            return;
        }
        let address = address.unwrap_or_default();
        if name == "connect" {
            observed.note_connection(&address);
        } else if let Some(socket) =
            socket_file(&address).and_then(|name| process.in_its_folder(name))
        {
            observed.note(&socket, Deed::Change);
        }
        return;
    }
    for place in places(name) {
        let path = process.path(place, &notice.call.arguments);
        if let Ok(Some(path)) = path
            && still_waits(listener, notice)
        {
            let argument = |number: u8| notice.call.arguments.get(usize::from(number)).copied();
            let deed = match place.how {
                How::Does(deed) => deed,
                How::Opens(flags) => opening(argument(flags).unwrap_or_default()),
            };
            observed.note(&path, deed);
        }
    }
}

/// A process that waits, by its number.
struct Process(u32);

impl Process {
    /// The file that a call names; `None` where it names none.
    fn path(&self, place: &Place, arguments: &[u64; 6]) -> io::Result<Option<PathBuf>> {
        let argument = |number: u8| arguments.get(usize::from(number)).copied().unwrap_or_default();
        let memory = self.memory(argument(place.name), NAME_BYTES)?;
        let name = memory.split(|byte| *byte == 0).next().unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        if name.is_absolute() {
            return Ok(Some(name.to_owned()));
        }
        let folder = place.folder.map_or(libc::AT_FDCWD, |number| {
            // The kernel looks at 32 bits.
            let [a, b, c, d, ..] = argument(number).to_le_bytes();
            i32::from_le_bytes([a, b, c, d])
        });
        if folder == libc::AT_FDCWD {
            return Ok(self.in_its_folder(name));
        }
        let folder = std::fs::read_link(format!("/proc/{}/fd/{folder}", self.0))?;
        Ok(Some(folder.join(name)))
    }

    /// A name as it is meant in the working directory.
    fn in_its_folder(&self, name: &Path) -> Option<PathBuf> {
        Some(std::fs::read_link(format!("/proc/{}/cwd", self.0)).ok()?.join(name))
    }

    /// What the process has at an address, up to where its memory ends.
    fn memory(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let memory = File::open(format!("/proc/{}/mem", self.0))?;
        let mut bytes = vec![0; length];
        let read = memory.read_at(&mut bytes, address)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_folders_and_the_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let folder = File::open(&root).unwrap();
        let own = Process(std::process::id());
        let here = std::env::current_dir().unwrap();
        let path = |name: &std::ffi::CStr, folder: i32| {
            let place = Place { folder: Some(0), name: 1, how: How::Does(Deed::Look) };
            let folder = u64::from(folder.cast_unsigned());
            let arguments = [folder, name.as_ptr().addr() as u64, 0, 0, 0, 0];
            own.path(&place, &arguments).unwrap()
        };
        let number = std::os::fd::AsRawFd::as_raw_fd(&folder);
        assert_eq!(path(c"a/b", number), Some(root.join("a/b")));
        assert_eq!(path(c"a/b", libc::AT_FDCWD), Some(here.join("a/b")));
        assert_eq!(path(c"/a", number), Some(PathBuf::from("/a")));
        assert_eq!(path(c"", number), None);
    }
}
