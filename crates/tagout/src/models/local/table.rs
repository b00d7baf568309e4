//! The connections of this machine, as the system lists them.
use std::{collections::BTreeSet, fs::File, io::Read as _, net::SocketAddrV4};

/// Bytes of a file that are read.
const BYTES: u64 = 16 << 20;

/// The states that matter, by their numbers.
const ESTABLISHED: &str = "01";
const GREETED: &str = "03";
const LISTENS: &str = "0A";

/// All connections by IPv4, and what listens for them.
pub(super) struct Table(String);

/// What is at the other end of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// The system holds it for whoever listens there.
    NobodyYet,
    /// The socket of this inode.
    Socket(u64),
    /// There is none on this machine, or not any more.
    Nothing,
}

impl Table {
    /// As it is now; without any if the system does not tell.
    pub(super) fn now() -> Self {
        Self(read("/proc/net/tcp").unwrap_or_default())
    }

    /// The inodes of what listens on `port`.
    pub(super) fn listening(&self, port: u16) -> BTreeSet<u64> {
        let ending = format!(":{port:04X}");
        let listening = self.rows().filter(|row| row.state == LISTENS);
        listening.filter(|row| row.local.ends_with(&ending)).map(|row| row.inode).collect()
    }

    /// The other end of the connection from `own` to `peer`.
    pub(super) fn other_end(&self, own: SocketAddrV4, peer: SocketAddrV4) -> Other {
        let (own, peer) = (listed(own), listed(peer));
        let row = self.rows().find(|row| row.local == peer && row.remote == own);
        match row {
            Some(Row { state: ESTABLISHED | GREETED, inode: 0, .. }) => Other::NobodyYet,
            Some(Row { state: ESTABLISHED, inode, .. }) => Other::Socket(inode),
            Some(_) | None => Other::Nothing,
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.lines().filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, local, remote, state, _, _, _, _, _, inode, ..] = fields.as_slice() else {
                return None;
            };
            Some(Row { local, remote, state, inode: inode.parse().ok()? })
        })
    }
}

struct Row<'a> {
    local: &'a str,
    remote: &'a str,
    state: &'a str,
    inode: u64,
}

/// How the system writes an address: the bytes in the machine's order.
fn listed(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

/// A small file of the system's; nothing if it cannot be read.
pub(super) fn read(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "the reader before it has a bound")]
    File::open(path).ok()?.take(BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
        os::{fd::AsFd, unix::fs::MetadataExt as _},
    };

    use super::*;

    fn inode(socket: impl AsFd) -> u64 {
        let socket = File::from(socket.as_fd().try_clone_to_owned().unwrap());
        socket.metadata().unwrap().ino()
    }

    fn four(address: SocketAddr) -> SocketAddrV4 {
        match address {
            SocketAddr::V4(four) => four,
            SocketAddr::V6(_) => panic!("{address}"),
        }
    }

    #[test]
    fn both_ends_are_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = listener.local_addr().unwrap();
        let client = TcpStream::connect(peer).unwrap();
        let own = client.local_addr().unwrap();
        let (peer, own) = (four(peer), four(own));
        assert_eq!(Table::now().listening(peer.port()), [inode(&listener)].into());
        assert_eq!(Table::now().other_end(own, peer), Other::NobodyYet);
        let (server, _) = listener.accept().unwrap();
        assert_eq!(Table::now().other_end(own, peer), Other::Socket(inode(&server)));
        assert_eq!(Table::now().other_end(peer, own), Other::Socket(inode(&client)));
        drop(listener);
        assert!(Table::now().listening(peer.port()).is_empty());
        assert_eq!(Table::now().other_end(own, peer), Other::Socket(inode(&server)));
        drop(server);
        assert_eq!(Table::now().other_end(own, peer), Other::Nothing);
    }

    #[test]
    fn what_is_no_table_has_no_rows() {
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
        for text in ["", "0: 0100007F:0050", "0: a b 0A 0 0 0 0 0 x"] {
            let table = Table(text.to_owned());
            assert!(table.listening(80).is_empty());
            assert_eq!(table.other_end(peer, peer), Other::Nothing);
        }
    }
}
