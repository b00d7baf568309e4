//! What a gateway holds that nobody may have.
use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::Path,
};

use crate::{
    attempt::{Facts, why},
    raw::{self, Arg, call, name, open},
};

/// How the gateway gets the secret: as a gateway gets those that its operator names.
pub(crate) const VARIABLE: &str = "TAGOUT_ESCAPE_SECRET";

/// The process's own, which ends with it.
pub(crate) struct Planted {
    secret: String,
    shared: Option<i32>,
    queue: String,
    key: Option<i64>,
    /// Held open, because open files are to be stolen.
    _open: File,
}

impl Planted {
    /// Puts the secret wherever one may be stolen from a process.
    pub(crate) fn plant(name: &str, facts: &Facts) -> Result<Self, String> {
        let secret = std::env::var(VARIABLE).map_err(why)?;
        // Where another's memory may only be read with its leave, this process gives it.
        call(libc::SYS_prctl, &mut [Arg::Int(0x5961_6d61), Arg::Int(-1)]).ok();
        if rustix::process::geteuid().is_root() {
            cover(&facts.path("covered")?)?;
        }
        let open = nameless(&facts.path("state")?, &secret)?;
        let queue = facts.text("queue")?.to_owned();
        send(&queue, &secret).ok();
        // A user has room for few keys, and gets it back late.
        let keyring = name == "keyring";
        let key = keyring.then(|| key(facts.text("key")?, &secret)).transpose()?;
        let number = i32::try_from(facts.number("shm-key")?).map_err(why)?;
        let shared = raw::share_memory(number, secret.as_bytes()).ok();
        Ok(Self { secret, shared, queue, key, _open: open })
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        if let Some(id) = self.shared {
            call(libc::SYS_shmctl, &mut [Arg::Int(id.into()), Arg::Int(0), Arg::Int(0)]).ok();
        }
        if let Some(key) = self.key {
            // KEYCTL_INVALIDATE.
            call(libc::SYS_keyctl, &mut [Arg::Int(21), Arg::Int(key)]).ok();
        }
        let queue = name(&self.queue);
        call(libc::SYS_mq_unlink, &mut [Arg::In(&queue)]).ok();
    }
}

/// A file system of its own over a folder, which only this process and its children see.
fn cover(place: &Path) -> Result<(), String> {
    let own = libc::CLONE_NEWNS | libc::CLONE_NEWUTS;
    call(libc::SYS_unshare, &mut [Arg::Int(own.into())]).map_err(why)?;
    let (kind, place) = (name("tmpfs"), name(&place.to_string_lossy()));
    let mut args = [Arg::In(&kind), Arg::In(&place), Arg::In(&kind), Arg::Int(0), Arg::Int(0)];
    call(libc::SYS_mount, &mut args).map(drop).map_err(why)
}

/// A file without a name, whose descriptor passes on to whatever is started without care.
fn nameless(folder: &Path, secret: &str) -> Result<File, String> {
    let path = folder.join("nameless");
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = file.as_mut().map_err(|it| why(&*it))?;
    fs::remove_file(&path).map_err(why)?;
    writeln!(file, "{secret}").map_err(why)?;
    let mut args =
        [Arg::Int(file.as_raw_fd().into()), Arg::Int(libc::F_DUPFD.into()), Arg::Int(10)];
    open(libc::SYS_fcntl, &mut args).map_err(why)
}

fn send(queue: &str, secret: &str) -> Result<(), String> {
    let queue = name(queue);
    // No flags, one message, of 64 bytes.
    let attributes = raw::bytes_of_long(&[0, 1, 64, 0, 0, 0, 0, 0]);
    let create = libc::O_CREAT | libc::O_RDWR | libc::O_NONBLOCK;
    let mut args =
        [Arg::In(&queue), Arg::Int(create.into()), Arg::Int(0o600), Arg::In(&attributes)];
    let queue = open(libc::SYS_mq_open, &mut args).map_err(why)?;
    let length = i64::try_from(secret.len()).map_err(why)?;
    let fd = Arg::Int(queue.as_raw_fd().into());
    let mut args = [fd, Arg::In(secret.as_bytes()), Arg::Int(length), Arg::Int(0), Arg::Int(0)];
    call(libc::SYS_mq_timedsend, &mut args).map(drop).map_err(why)
}

/// Into the user's keyring, for half a minute.
fn key(label: &str, secret: &str) -> Result<i64, String> {
    let (kind, label) = (name("user"), name(label));
    let length = i64::try_from(secret.len()).map_err(why)?;
    let secret = Arg::In(secret.as_bytes());
    let mut args = [Arg::In(&kind), Arg::In(&label), secret, Arg::Int(length), Arg::Int(-4)];
    let key = call(libc::SYS_add_key, &mut args).map_err(why)?;
    // KEYCTL_SETPERM: all for its owner; KEYCTL_SET_TIMEOUT.
    call(libc::SYS_keyctl, &mut [Arg::Int(5), Arg::Int(key), Arg::Int(0x3f3f_0000)])
        .map_err(why)?;
    call(libc::SYS_keyctl, &mut [Arg::Int(15), Arg::Int(key), Arg::Int(30)]).map_err(why)?;
    Ok(key)
}
