//! Services of the machine that a server must not reach. Each notes what it hears, and answers.
use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::AsFd as _,
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::attempt::why;

/// The longest line that anybody says.
const LINE_BYTES: u64 = 256;

/// What was heard, by all services together.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<String>>);

/// The services, which stay for as long as the process does.
pub(crate) struct Services {
    ear: Ear,
    facts: Vec<String>,
}

impl Ear {
    fn note(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(line);
    }

    /// Hears one line of each that comes, one after the other.
    fn attend<S: Read + Write>(
        self,
        mut next: impl FnMut() -> std::io::Result<S> + Send + 'static,
    ) {
        thread::spawn(move || {
            while let Ok(mut stream) = next() {
                let mut line = String::new();
                let mut reader = BufReader::new((&mut stream).take(LINE_BYTES));
                if reader.read_line(&mut line).is_ok() {
                    self.note(&line);
                    stream.write_all(b"ok").ok();
                }
            }
        });
    }
}

impl Services {
    /// Starts them: always those on the loopback, and those with addresses of their own where
    /// `addresses` says that they are there.
    pub(crate) fn start(work: &Path, addresses: bool) -> Result<Self, String> {
        let mut services = Self { ear: Ear::default(), facts: Vec::new() };
        services.tcp("tcp", "127.0.0.1:0")?;
        services.tcp("tcp6", "[::1]:0").ok();
        if addresses {
            services.tcp("metadata", "169.254.169.254:80")?;
            services.tcp("private", "10.1.2.3:5432")?;
            services.tcp("public", "203.0.113.7:443")?;
            services.udp("dns", "10.0.0.53:53")?;
        }
        services.paths(work)?;
        services.names()?;
        Ok(services)
    }

    /// Where they are, for the program.
    pub(crate) fn facts(&self) -> &[String] {
        &self.facts
    }

    pub(crate) fn heard(&self, mark: &str) -> bool {
        self.ear.0.lock().unwrap_or_else(PoisonError::into_inner).contains(mark)
    }

    fn tcp(&mut self, key: &str, address: &str) -> Result<(), String> {
        let listener = TcpListener::bind(address).map_err(|e| format!("{address}: {e}"))?;
        self.facts.push(format!("{key}={}", listener.local_addr().map_err(why)?));
        self.ear.clone().attend(move || {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            Ok(stream)
        });
        Ok(())
    }

    fn udp(&mut self, key: &str, address: &str) -> Result<(), String> {
        let socket = UdpSocket::bind(address).map_err(|e| format!("{address}: {e}"))?;
        self.facts.push(format!("{key}={address}"));
        let ear = self.ear.clone();
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                ear.note(&String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()));
                socket.send_to(b"ok", from).ok();
            }
        });
        Ok(())
    }

    fn paths(&mut self, work: &Path) -> Result<(), String> {
        let place = work.join("agent.sock");
        let listener = UnixListener::bind(&place).map_err(why)?;
        self.facts.push(format!("socket={}", place.display()));
        self.ear.clone().attend(move || listener.accept().map(|(stream, _)| stream));
        Ok(())
    }

    /// Those whose names are in no folder.
    fn names(&mut self) -> Result<(), String> {
        let name = format!("tagout-escape-{}", std::process::id());
        let place = UnixAddr::from_abstract_name(&name).map_err(why)?;
        let listener = UnixListener::bind_addr(&place).map_err(why)?;
        self.facts.push(format!("abstract={name}"));
        self.ear.clone().attend(move || listener.accept().map(|(stream, _)| stream));
        let name = format!("{name}-datagram");
        let place = UnixAddr::from_abstract_name(&name).map_err(why)?;
        let socket = UnixDatagram::bind_addr(&place).map_err(why)?;
        self.facts.push(format!("abstract-datagram={name}"));
        let ear = self.ear.clone();
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(length) = socket.recv(&mut bytes) {
                ear.note(&String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()));
            }
        });
        Ok(())
    }
}

/// Tries for a moment to reach the program at this port, and whether it said its mark.
pub(crate) fn reach(port: u16, mark: &str) -> bool {
    for _ in 0..120 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut line = String::new();
            stream.set_read_timeout(Some(Duration::from_secs(1))).ok();
            if BufReader::new(stream.take(LINE_BYTES)).read_line(&mut line).is_ok() {
                return line.contains(mark);
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Hands over a folder to whoever waits at this place, as an accomplice outside would.
pub(crate) fn hand_over(place: &Path, folder: &Path) -> bool {
    for _ in 0..150 {
        if let Ok(stream) = UnixStream::connect(place) {
            let Ok(folder) = std::fs::File::open(folder) else { return false };
            let fds = [folder.as_fd()];
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut attached = SendAncillaryBuffer::new(&mut space);
            attached.push(SendAncillaryMessage::ScmRights(&fds));
            let text = [std::io::IoSlice::new(b"x")];
            return sendmsg(&stream, &text, &mut attached, SendFlags::NOSIGNAL).is_ok();
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}
