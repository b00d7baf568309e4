//! Ways out that are not the proxy.
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::AsRawFd as _,
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixStream},
    },
    time::Duration,
};

use crate::{
    attempt::{Attempt, Facts, Outcome, why},
    raw::{Arg, call, open},
    seen::Seen,
};

/// Nothing here is further away than the loopback.
const PATIENCE: Duration = Duration::from_secs(1);

const NO_ADDRESS: &str = "no network namespace to put the address into";

pub(super) const ALL: &[Attempt] = &[
    Attempt::new("loopback", "a service on 127.0.0.1", |f| tcp(f, "tcp"), Seen::heard),
    Attempt::new("loopback-6", "a service on ::1", |f| tcp(f, "tcp6"), Seen::heard)
        .if_there("no IPv6"),
    Attempt::new("metadata", "169.254.169.254", |f| tcp(f, "metadata"), Seen::heard)
        .if_there(NO_ADDRESS),
    Attempt::new(
        "private-address",
        "an address of the company's",
        |f| tcp(f, "private"),
        Seen::heard,
    )
    .if_there(NO_ADDRESS),
    Attempt::new(
        "round-the-proxy",
        "a public address, directly",
        |f| tcp(f, "public"),
        Seen::heard,
    )
    .if_there(NO_ADDRESS),
    Attempt::new("fast-open", "the same by `MSG_FASTOPEN`", fast_open, Seen::heard)
        .if_there(NO_ADDRESS),
    Attempt::new("dns", "a question in UDP", dns, Seen::heard).if_there(NO_ADDRESS),
    Attempt::new("abstract-socket", "an abstract socket", abstract_socket, Seen::heard),
    Attempt::new(
        "abstract-datagram",
        "an abstract datagram socket",
        abstract_datagram,
        Seen::heard,
    ),
    Attempt::new("path-socket", "a socket in the user's home", path_socket, Seen::heard),
    Attempt::new("listen", "take connections from outside", listen, Seen::reached),
    Attempt::new("raw-socket", "a raw socket", raw, Seen::said).of_root(),
    Attempt::new("packet-socket", "a packet socket", packet, Seen::said).of_root(),
    Attempt::new("netlink", "give an interface an address", netlink, Seen::said).of_root(),
    Attempt::new("vsock", "a socket to the machine's host", vsock, Seen::said)
        .if_there("no vsock in this kernel"),
    Attempt::new("crypto-socket", "the kernel's AF_ALG", alg, Seen::said)
        .if_there("no AF_ALG in this kernel"),
];

/// What takes a proxy that answers.
pub(super) const BEHIND_A_GATEWAY: &[Attempt] = &[
    Attempt::new("proxy-loopback", "", |f| by_proxy(f, "tcp"), Seen::heard),
    Attempt::new("proxy-disguised", "", disguised, Seen::heard),
];

/// Directly, then through the proxy that the environment names.
fn by_proxy(facts: &Facts, key: &str) -> Outcome {
    let address = address(facts, key)?;
    tcp(facts, key).or_else(|direct| {
        let through = connect(facts, &address.to_string());
        through.map_err(|through| format!("{direct}; through the proxy: {through}"))
    })
}

/// The same service under names that lead to it.
fn disguised(facts: &Facts) -> Outcome {
    let port = address(facts, "tcp")?.port();
    let hosts = ["localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "2130706433", "0x7f000001"];
    let tried = hosts.map(|host| connect(facts, &format!("{host}:{port}")));
    let direct = tcp(facts, "tcp");
    tried.into_iter().fold(direct, Result::or)
}

/// Asks the proxy for a tunnel, and talks through it.
fn connect(facts: &Facts, target: &str) -> Outcome {
    let proxy: SocketAddr = "127.0.0.1:3128".parse().map_err(why)?;
    let mut stream = TcpStream::connect_timeout(&proxy, PATIENCE).map_err(why)?;
    stream.set_read_timeout(Some(PATIENCE * 3)).map_err(why)?;
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").map_err(why)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).map_err(why)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if !answer.ends_with(" 200") {
        return Err(answer);
    }
    // The rest of the answer ends with an empty line.
    let mut last = Vec::new();
    while !last.ends_with(b"\r\n\r\n") && last.len() < 4096 {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(why)?;
        last.extend(byte);
    }
    say(&mut stream, facts)
}

fn address(facts: &Facts, key: &str) -> Result<SocketAddr, String> {
    facts.text(key)?.parse().map_err(why)
}

fn tcp(facts: &Facts, key: &str) -> Outcome {
    let address = address(facts, key)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(why)?;
    say(&mut stream, facts)
}

/// Says what shows that it got there, and waits until it was heard.
fn say(stream: &mut (impl std::io::Read + std::io::Write), facts: &Facts) -> Outcome {
    writeln!(stream, "{}", facts.text("mark")?).map_err(why)?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).map_err(why)?;
    Ok(String::from("it was answered"))
}

/// Data in the first packet, without `connect`.
fn fast_open(facts: &Facts) -> Outcome {
    let SocketAddr::V4(address) = address(facts, "public")? else {
        return Err(String::from("not an address of the fourth version"));
    };
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let mut place = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    place.extend(address.port().to_be_bytes());
    place.extend(address.ip().octets());
    place.extend([0; 8]);
    let text = format!("{}\n", facts.text("mark")?);
    let mut args = [
        Arg::Int(socket.as_raw_fd().into()),
        Arg::In(text.as_bytes()),
        Arg::Int(i64::try_from(text.len()).map_err(why)?),
        Arg::Int(libc::MSG_FASTOPEN.into()),
        Arg::In(&place),
        Arg::Int(16),
    ];
    call(libc::SYS_sendto, &mut args).map_err(why)?;
    let mut stream = TcpStream::from(std::os::fd::OwnedFd::from(socket));
    stream.set_read_timeout(Some(PATIENCE)).map_err(why)?;
    stream.read_exact(&mut [0; 2]).map_err(why)?;
    Ok(String::from("it was answered"))
}

fn dns(facts: &Facts) -> Outcome {
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(why)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(why)?;
    let text = format!("{}\n", facts.text("mark")?);
    socket.send_to(text.as_bytes(), address(facts, "dns")?).map_err(why)?;
    socket.recv(&mut [0; 16]).map_err(why)?;
    Ok(String::from("it was answered"))
}

fn abstract_socket(facts: &Facts) -> Outcome {
    let place = UnixAddr::from_abstract_name(facts.text("abstract")?).map_err(why)?;
    let mut stream = UnixStream::connect_addr(&place).map_err(why)?;
    say(&mut stream, facts)
}

fn abstract_datagram(facts: &Facts) -> Outcome {
    let place = UnixAddr::from_abstract_name(facts.text("abstract-datagram")?).map_err(why)?;
    let socket = UnixDatagram::unbound().map_err(why)?;
    let text = format!("{}\n", facts.text("mark")?);
    socket.send_to_addr(text.as_bytes(), &place).map_err(why)?;
    Ok(String::from("it was sent"))
}

fn path_socket(facts: &Facts) -> Outcome {
    let mut stream = UnixStream::connect(facts.path("socket")?).map_err(why)?;
    say(&mut stream, facts)
}

/// Somebody outside tries this port for a moment.
fn listen(facts: &Facts) -> Outcome {
    let port = u16::try_from(facts.number("listen")?).map_err(why)?;
    let listener = TcpListener::bind(("0.0.0.0", port)).map_err(why)?;
    listener.set_nonblocking(true).map_err(why)?;
    for _ in 0..100 {
        if let Ok((mut peer, _)) = listener.accept() {
            writeln!(peer, "{}", facts.text("mark")?).map_err(why)?;
            return Ok(String::from("somebody came"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(String::from("nobody came"))
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<std::fs::File, String> {
    let mut args = [Arg::Int(family.into()), Arg::Int(kind.into()), Arg::Int(protocol.into())];
    open(libc::SYS_socket, &mut args).map_err(why)
}

fn raw(_: &Facts) -> Outcome {
    socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)?;
    Ok(String::from("packets of its own making"))
}

fn packet(_: &Facts) -> Outcome {
    let everything = i32::from(3_u16.to_be());
    socket(libc::AF_PACKET, libc::SOCK_RAW, everything)?;
    Ok(String::from("every packet, to read and to write"))
}

/// Puts 10.9.9.9 on the loopback.
fn netlink(_: &Facts) -> Outcome {
    let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes());
    message.extend(libc::RTM_NEWADDR.to_ne_bytes());
    // Request, acknowledge, create.
    message.extend(0x0405_u16.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([2, 32, 0, 0]);
    message.extend(1_u32.to_ne_bytes());
    // One attribute: the local address.
    message.extend(8_u16.to_ne_bytes());
    message.extend(2_u16.to_ne_bytes());
    message.extend([10, 9, 9, 9]);
    let mut args = [
        Arg::Int(socket.as_raw_fd().into()),
        Arg::In(&message),
        Arg::Int(i64::try_from(message.len()).map_err(why)?),
        Arg::Int(0),
        Arg::Int(0),
        Arg::Int(0),
    ];
    call(libc::SYS_sendto, &mut args).map_err(why)?;
    let mut answer = [0; 64];
    let mut stream = std::fs::File::from(std::os::fd::OwnedFd::from(socket));
    stream.read(&mut answer).map_err(why)?;
    let error = answer.get(16..20).and_then(|it| it.first_chunk()).copied().unwrap_or_default();
    match i32::from_ne_bytes(error) {
        // There from another round.
        0 | -17 => Ok(String::from("10.9.9.9 is on the loopback")),
        number => Err(why(std::io::Error::from_raw_os_error(number.saturating_neg()))),
    }
}

fn vsock(_: &Facts) -> Outcome {
    socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)?;
    Ok(String::from("there is such a socket"))
}

fn alg(_: &Facts) -> Outcome {
    socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)?;
    Ok(String::from("there is such a socket"))
}
