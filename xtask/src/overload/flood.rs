//! Calls as fast as the clock says, whether or not any is answered.
use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::{
    OFFERED,
    call::{Answers, request},
    stage::Stage,
};

/// Connections that the calls go over, in turn.
const CONNECTIONS: usize = 32;
/// How often calls are sent, and answers read.
const TICK: Duration = Duration::from_millis(2);
/// How long the last answers are waited for.
const REST: Duration = Duration::from_secs(2);
/// Calls of one connection that may wait for their answers; more are not sent, and not offered.
const WAITING: u64 = 4096;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// Calls that were sent.
    pub(super) sent: u64,
    /// Calls that could not be sent, since nothing took them.
    pub(super) unsent: u64,
    /// Calls that were made, by their results.
    pub(super) accepted: u64,
    /// Answers by status.
    pub(super) answers: BTreeMap<u16, u64>,
    /// Connections that were closed and opened again.
    pub(super) reopened: u64,
    /// From the first call to the last answer, in seconds: a gateway that is slow goes on with what
    /// is in its queues, at the same rate.
    pub(super) lasted_s: f64,
}

/// Connections that calls go over.
pub(super) struct Flood {
    address: String,
    request: Vec<u8>,
    lines: Vec<Line>,
    came: Came,
}

struct Line {
    stream: TcpStream,
    answers: Answers,
    waiting: u64,
    /// What the system has not taken of a request yet.
    left: Vec<u8>,
}

fn open(address: &str) -> Result<Line, String> {
    let failed = |error: io::Error| format!("{address}: {error}");
    let stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).map_err(failed)?;
    Ok(Line { stream, answers: Answers::default(), waiting: 0, left: Vec::new() })
}

impl Flood {
    pub(super) fn open(stage: &Stage) -> Result<Self, String> {
        let address = stage.address.to_string();
        let lines = (0..CONNECTIONS).map(|_| open(&address)).collect::<Result<_, _>>()?;
        let request = request(&address, &stage.flood_key);
        Ok(Self { address, request, lines, came: Came::default() })
    }

    /// Offers calls for so long.
    pub(super) fn run(mut self, seconds: Duration) -> Result<Came, String> {
        let begun = Instant::now();
        let mut due = 0_u64;
        let mut tick = begun;
        while begun.elapsed() < seconds {
            let passed = begun.elapsed().as_nanos();
            let wanted = passed * u128::from(OFFERED) / 1_000_000_000;
            while u128::from(due) < wanted {
                self.send(due)?;
                due += 1;
            }
            self.read()?;
            tick += TICK;
            thread::sleep(tick.saturating_duration_since(Instant::now()));
        }
        let end = Instant::now() + REST;
        while Instant::now() < end && self.lines.iter().any(|line| line.waiting > 0) {
            self.read()?;
            thread::sleep(TICK);
        }
        self.came.lasted_s = begun.elapsed().as_secs_f64();
        Ok(self.came)
    }

    fn send(&mut self, n: u64) -> Result<(), String> {
        let index = usize::try_from(n).unwrap_or_default() % CONNECTIONS;
        let Some(line) = self.lines.get_mut(index) else { return Ok(()) };
        if line.waiting >= WAITING || !line.flush() {
            self.came.unsent += 1;
            return Ok(());
        }
        line.left.extend_from_slice(&self.request);
        line.flush();
        line.waiting += 1;
        self.came.sent += 1;
        Ok(())
    }

    fn read(&mut self) -> Result<(), String> {
        for line in &mut self.lines {
            line.flush();
            let closed = loop {
                match line.answers.read(&mut line.stream) {
                    Ok(true) => break true,
                    Ok(false) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break false,
                    Err(_) => break true,
                }
            };
            while let Some(answer) = line.answers.next() {
                line.waiting = line.waiting.saturating_sub(1);
                *self.came.answers.entry(answer.status).or_default() += 1;
                self.came.accepted += u64::from(answer.status == 200 && answer.result);
            }
            if closed {
                *line = open(&self.address)?;
                self.came.reopened += 1;
            }
        }
        Ok(())
    }
}

impl Line {
    /// Whether nothing is left to be taken.
    fn flush(&mut self) -> bool {
        while !self.left.is_empty() {
            match self.stream.write(&self.left) {
                Ok(0) | Err(_) => return false,
                Ok(written) => drop(self.left.drain(..written)),
            }
        }
        true
    }
}
