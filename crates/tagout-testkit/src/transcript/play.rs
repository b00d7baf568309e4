//! Playing a transcript against a peer.
use std::{
    fmt,
    io::{BufRead, BufReader, Read, Write},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    Act, Transcript,
    matching::{Names, compare, fill},
};

/// Frames that may wait for either side; more than a transcript has.
const QUEUE: usize = 1024;

/// Where a transcript and what happened part.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The transcript's line, from 1.
    pub line: usize,
    /// The last note before it.
    pub note: Option<String>,
    /// What the line says.
    pub expected: String,
    /// What came instead; empty when nothing did.
    pub got: String,
    /// What differs, and where.
    pub differences: Vec<String>,
}

impl Mismatch {
    pub(crate) fn new(
        line: usize,
        expected: String,
        got: String,
        differences: Vec<String>,
    ) -> Self {
        Self { line, note: None, expected, got, differences }
    }
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(note) = &self.note {
            write!(f, " ({note})")?;
        }
        for (name, text) in [("expected", &self.expected), ("got", &self.got)] {
            write!(f, "\n  {name:>8}  {}", if text.is_empty() { "nothing" } else { text })?;
        }
        self.differences.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
    }
}

impl Transcript {
    /// Plays the client's part against a peer that reads what is written to `input` and writes what
    /// is read from `output`, and waits for each expected frame for `patience` at most. When the
    /// last line is played the client closes its side. Returns every frame that came.
    ///
    /// # Errors
    /// The first difference.
    pub fn play(
        &self,
        input: impl Write + Send + 'static,
        output: impl Read + Send + 'static,
        patience: Duration,
    ) -> Result<Vec<String>, Mismatch> {
        let mut player = Player {
            sender: Some(write_from_thread(input)),
            receiver: Some(read_from_thread(output)),
            patience,
            names: Names::new(),
            came: Vec::new(),
        };
        let mut note = None;
        for entry in &self.entries {
            let played = match &entry.act {
                Act::Note(text) => {
                    note = Some(text.clone());
                    Ok(())
                }
                Act::Send(bytes) => player.send(entry.line, bytes),
                Act::Receive(group) => player.receive(group),
                Act::Close => player.close(),
                Act::Vanish => player.vanish(),
                Act::End => player.end(entry.line),
            };
            played.map_err(|mismatch| Mismatch { note: note.clone(), ..mismatch })?;
        }
        Ok(player.came)
    }
}

struct Player {
    sender: Option<SyncSender<Vec<u8>>>,
    receiver: Option<Receiver<Vec<u8>>>,
    patience: Duration,
    names: Names,
    came: Vec<String>,
}

enum Came {
    Frame(String),
    Nothing,
    End,
}

impl Player {
    fn send(&self, line: usize, bytes: &[u8]) -> Result<(), Mismatch> {
        // A peer that has closed its side shows in what it answers.
        let stuck = self
            .sender
            .as_ref()
            .is_none_or(|sender| sender.try_send(fill(bytes, &self.names)).is_err_and(is_full));
        if stuck {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let why = vec![String::from("the client cannot send any more")];
            return Err(Mismatch::new(line, text, String::new(), why));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Mismatch> {
        self.sender = None;
        Ok(())
    }

    fn vanish(&mut self) -> Result<(), Mismatch> {
        self.receiver = None;
        self.close()
    }

    fn receive(&mut self, group: &[(usize, Value)]) -> Result<(), Mismatch> {
        let mut left: Vec<&(usize, Value)> = group.iter().collect();
        while let Some((line, first)) = left.first() {
            let frame = match self.next() {
                Came::Frame(frame) => frame,
                Came::Nothing => return Err(missing(*line, first, "nothing came in time")),
                Came::End => return Err(missing(*line, first, "the peer closed its side")),
            };
            let place = self.place(&left, &frame).map_err(|nearest| *nearest)?;
            left.remove(place);
        }
        Ok(())
    }

    /// Which of the expected frames this is; otherwise how it differs from the most similar one.
    fn place(&mut self, left: &[&(usize, Value)], frame: &str) -> Result<usize, Box<Mismatch>> {
        let actual = serde_json::from_str::<Value>(frame);
        let mut nearest: Option<Mismatch> = None;
        for (place, (line, expected)) in left.iter().enumerate() {
            let mut names = self.names.clone();
            let found = match &actual {
                Ok(actual) => compare(expected, actual, &mut names),
                Err(e) => vec![format!("not JSON: {e}")],
            };
            if found.is_empty() {
                self.names = names;
                return Ok(place);
            }
            if nearest.as_ref().is_none_or(|n| found.len() < n.differences.len()) {
                nearest = Some(Mismatch::new(*line, expected.to_string(), frame.to_owned(), found));
            }
        }
        Err(Box::new(nearest.unwrap_or_else(|| unexpected(0, frame))))
    }

    fn end(&mut self, line: usize) -> Result<(), Mismatch> {
        match self.next() {
            Came::End => Ok(()),
            Came::Frame(frame) => Err(unexpected(line, &frame)),
            Came::Nothing => {
                let why = vec![String::from("the peer did not close its side in time")];
                Err(Mismatch::new(line, String::from("the end"), String::new(), why))
            }
        }
    }

    fn next(&mut self) -> Came {
        let Some(receiver) = &self.receiver else { return Came::End };
        match receiver.recv_timeout(self.patience) {
            Ok(bytes) => {
                let frame = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                self.came.push(frame.clone());
                Came::Frame(frame)
            }
            Err(RecvTimeoutError::Timeout) => Came::Nothing,
            Err(RecvTimeoutError::Disconnected) => Came::End,
        }
    }
}

fn is_full(error: std::sync::mpsc::TrySendError<Vec<u8>>) -> bool {
    matches!(error, std::sync::mpsc::TrySendError::Full(_))
}

fn missing(line: usize, expected: &Value, why: &str) -> Mismatch {
    Mismatch::new(line, expected.to_string(), String::new(), vec![why.to_owned()])
}

fn unexpected(line: usize, frame: &str) -> Mismatch {
    let why = vec![String::from("nothing more was expected")];
    Mismatch::new(line, String::new(), frame.to_owned(), why)
}

/// Writes in a thread of its own, because a peer that does not read must not stop the player.
fn write_from_thread(mut input: impl Write + Send + 'static) -> SyncSender<Vec<u8>> {
    let (sender, receiver) = sync_channel::<Vec<u8>>(QUEUE);
    thread::spawn(move || {
        for bytes in receiver {
            if input.write_all(&bytes).and_then(|()| input.flush()).is_err() {
                return;
            }
        }
    });
    sender
}

fn read_from_thread(output: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(QUEUE);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            match output.read_until(b'\n', &mut line) {
                Ok(1..) if sender.send(line).is_ok() => {}
                Ok(_) | Err(_) => return,
            }
        }
    });
    receiver
}
