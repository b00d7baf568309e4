//! Who calls: for a client on this machine, the operating system's user.
use std::{collections::BTreeSet, fs::File, io::Read as _};

use tagout_proto::Principal;

use crate::config::Config;

/// The account databases are small; more than this of one is not read.
const DATABASE_BYTES: u64 = 4 << 20;

/// The user who runs this process. Its groups are those that the configuration gives it, and the
/// operating system's, as `unix:NAME`.
#[must_use]
pub fn os_user(config: &Config) -> Principal {
    let uid = rustix::process::getuid().as_raw();
    let passwd = database("/etc/passwd");
    let user = name_of(&passwd, uid).unwrap_or_else(|| format!("uid-{uid}"));
    let group_names = database("/etc/group");
    let own = rustix::process::getgid();
    let more = rustix::process::getgroups().unwrap_or_default();
    let unix = more.into_iter().chain([own]).map(|gid| {
        let gid = gid.as_raw();
        let name = name_of(&group_names, gid).unwrap_or_else(|| gid.to_string());
        format!("unix:{name}")
    });
    let configured = config.groups.get(&user).into_iter().flatten().cloned();
    let groups: BTreeSet<_> = unix.chain(configured).collect();
    Principal { user: user.into(), groups, authenticated_by: "os-user".into() }
}

fn database(path: &str) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| {
        #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
        file.take(DATABASE_BYTES).read_to_string(&mut text)
    });
    // Without it, people go by their numbers.
    if read.is_err() { String::new() } else { text }
}

/// The first field of the line whose third field is `id`.
fn name_of(database: &str, id: u32) -> Option<String> {
    database.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == id).then(|| name.to_owned())
    })
}
