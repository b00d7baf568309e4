//! One connection of a client, which carries one request.
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// Pieces that may wait to be looked at; more than a transcript makes a peer send.
const QUEUE: usize = 4096;
/// The longest line of a response's head or of an event stream, and the longest body, in bytes.
const LONGEST: u64 = 4 << 20;

/// What comes back over a connection, piece by piece.
enum Piece {
    Head(u16, Vec<(String, String)>),
    Data(Vec<u8>),
}

/// A request that was sent.
pub(super) struct Connection {
    stream: TcpStream,
    pieces: Receiver<Piece>,
    /// What came and was not looked at yet.
    rest: Vec<u8>,
}

/// One event of a stream.
#[derive(Debug, Default)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) data: String,
}

/// What came, if something did.
pub(super) enum Came<T> {
    This(T),
    Nothing,
    End,
}

impl Connection {
    /// Sends `bytes`, a whole request, to `address`.
    pub(super) fn open(address: SocketAddr, bytes: &[u8]) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        // A peer that answers early may not read the rest.
        drop(stream.write_all(bytes));
        let (sender, pieces) = sync_channel(QUEUE);
        let reading = stream.try_clone()?;
        thread::spawn(move || read(reading, &sender).ok());
        Ok(Self { stream, pieces, rest: Vec::new() })
    }

    /// Status and headers.
    pub(super) fn head(&self, patience: Duration) -> Came<(u16, Vec<(String, String)>)> {
        match self.pieces.recv_timeout(patience) {
            Ok(Piece::Head(status, headers)) => Came::This((status, headers)),
            Ok(Piece::Data(_)) | Err(RecvTimeoutError::Disconnected) => Came::End,
            Err(RecvTimeoutError::Timeout) => Came::Nothing,
        }
    }

    /// All of the body.
    pub(super) fn body(&mut self, patience: Duration) -> Came<Vec<u8>> {
        loop {
            match self.more(patience) {
                Came::This(()) => {}
                Came::Nothing => return Came::Nothing,
                Came::End => return Came::This(std::mem::take(&mut self.rest)),
            }
        }
    }

    /// The next event.
    pub(super) fn event(&mut self, patience: Duration) -> Came<Event> {
        // Comments come for ever on a stream that is alive.
        let until = Instant::now() + patience;
        loop {
            let end = self.rest.windows(2).position(|two| two == b"\n\n");
            if let Some(end) = end {
                let rest = self.rest.split_off(end + 2);
                let text = std::mem::replace(&mut self.rest, rest);
                match event(&String::from_utf8_lossy(&text)) {
                    Some(event) => return Came::This(event),
                    None => continue,
                }
            }
            match self.more(until.saturating_duration_since(Instant::now())) {
                Came::This(()) => {}
                Came::Nothing => return Came::Nothing,
                Came::End => return Came::End,
            }
        }
    }

    /// Puts a body back, as an event.
    pub(super) fn keep(&mut self, text: &str) {
        self.rest = format!("data: {text}\n\n").into_bytes();
    }

    fn more(&mut self, patience: Duration) -> Came<()> {
        match self.pieces.recv_timeout(patience) {
            Ok(Piece::Data(bytes)) => {
                self.rest.extend(bytes);
                Came::This(())
            }
            Ok(Piece::Head(..)) | Err(RecvTimeoutError::Disconnected) => Came::End,
            Err(RecvTimeoutError::Timeout) => Came::Nothing,
        }
    }

    /// Breaks the connection off.
    pub(super) fn disconnect(&self) {
        // It may have ended already.
        self.stream.shutdown(Shutdown::Both).ok();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// Nothing for a comment.
fn event(text: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut data: Vec<&str> = Vec::new();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => event.name = Some(value.to_owned()),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = data.join("\n");
    (event.id.is_some() || event.name.is_some() || !data.is_empty()).then_some(event)
}

/// Reads one response; its end, or the connection's, drops `pieces`.
#[expect(clippy::disallowed_methods, reason = "the readers before them have bounds")]
fn read(stream: TcpStream, pieces: &SyncSender<Piece>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let (status, headers) = head(&mut reader)?;
    let of = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let chunked = of("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let length = of("content-length").and_then(|length| length.parse::<u64>().ok());
    pieces.send(Piece::Head(status, headers)).map_err(closed)?;
    if !chunked {
        let mut bytes = Vec::new();
        reader.take(length.unwrap_or(0).min(LONGEST)).read_to_end(&mut bytes)?;
        return pieces.send(Piece::Data(bytes)).map_err(closed);
    }
    loop {
        let size = line(&mut reader)?;
        let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(io::Error::other)?;
        if size == 0 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        reader.by_ref().take(size.min(LONGEST)).read_to_end(&mut bytes)?;
        line(&mut reader)?;
        pieces.send(Piece::Data(bytes)).map_err(closed)?;
    }
}

fn head(reader: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = line(reader)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(first))?;
    let mut headers = Vec::new();
    loop {
        let text = line(reader)?;
        let Some((name, value)) = text.split_once(':') else { return Ok((status, headers)) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    if reader.take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
