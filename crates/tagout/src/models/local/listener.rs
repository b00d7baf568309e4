//! Whose socket listens on a port of this machine.
use std::{fs::File, io::Read as _};

/// Bytes of the list that are read.
const LIST_BYTES: u64 = 16 << 20;
/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// Whether what listens on `port` belongs to this user. Another user of this machine may have taken
/// the port in the moment between its choice and its use, and would be shown key and conversation.
pub(super) fn is_ours(port: u16) -> bool {
    let mut list = String::new();
    let Ok(file) = File::open("/proc/net/tcp") else { return false };
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    let read = file.take(LIST_BYTES).read_to_string(&mut list);
    read.is_ok() && is_of(&list, port, rustix::process::geteuid().as_raw())
}

/// Whether somebody listens on `port`, and nobody but `user` does.
fn is_of(list: &str, port: u16, user: u32) -> bool {
    let ending = format!(":{port:04X}");
    let mut users = list.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, user, ..] = fields.as_slice() else { return None };
        (*state == LISTENS && local.ends_with(&ending)).then_some(*user)
    });
    let user = user.to_string();
    users.next().is_some_and(|first| first == user) && users.all(|other| other == user)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LIST: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 632 1
   1: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 633 1
   2: 0100007F:1F92 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 634 1
";

    #[test]
    fn a_port_of_another_user_is_not_ours() {
        for (port, ours) in [(8080, true), (8081, false), (8082, false), (8083, false)] {
            assert_eq!(is_of(LIST, port, 1000), ours, "{port}");
        }
        let both = format!("{LIST}{}", LIST.lines().nth(1).unwrap().replace("1000", "0"));
        assert!(!is_of(&both, 8080, 1000));
    }

    #[test]
    fn ones_own_port_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(is_ours(listener.local_addr().unwrap().port()));
    }
}
