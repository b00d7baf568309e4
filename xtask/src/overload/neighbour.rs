//! Who behaves, and how long they wait.
use std::{
    io::{self, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::{
    NEIGHBOUR,
    call::{Answers, health, request},
    stage::Stage,
};

/// How long each call took, from when it was due; in order of length.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) micros: Vec<u64>,
    /// Calls without a result.
    pub(super) failed: u64,
}

/// No answer is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Waits {
    /// What so many of a hundred calls wait at most, in milliseconds.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.micros.len() * percent).div_ceil(100).saturating_sub(1);
        let micros = self.micros.get(rank).copied().unwrap_or_default();
        u32::try_from(micros).map_or(f64::INFINITY, f64::from) / 1000.0
    }

    fn sorted(mut self) -> Self {
        self.micros.sort_unstable();
        self
    }
}

/// Calls of the neighbour at an even pace for so long.
pub(super) fn calls(stage: &Stage, seconds: Duration) -> Result<Waits, String> {
    let address = stage.address.to_string();
    let request = request(&address, &stage.neighbour_key);
    let mut line = open(&address)?;
    let one = || {
        let done = called(&mut line, &request);
        match done {
            Ok(done) => Ok(done),
            Err(_) => {
                line = open(&address)?;
                Ok(false)
            }
        }
    };
    paced(NEIGHBOUR, seconds, one)
}

/// A connection of its own for each question whether the gateway lives, five a second.
pub(super) fn asks_for_health(stage: &Stage, seconds: Duration) -> Result<Waits, String> {
    let address = stage.address.to_string();
    let asks = health(&address);
    let one = || {
        let asked = || -> io::Result<bool> {
            let mut stream = TcpStream::connect(&address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&asks)?;
            let mut answers = Answers::default();
            while !answers.read(&mut stream)? {}
            Ok(answers.next().is_some_and(|answer| answer.status == 200))
        };
        Ok(asked().unwrap_or(false))
    };
    paced(5, seconds, one)
}

/// Does it so often a second, each when it is due, and counts from then: one that keeps others
/// waiting is seen in theirs.
fn paced(
    rate: u32,
    seconds: Duration,
    mut one: impl FnMut() -> Result<bool, String>,
) -> Result<Waits, String> {
    let mut waits = Waits::default();
    let begun = Instant::now();
    let mut due = begun;
    while due.duration_since(begun) < seconds {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if one()? {
            let waited = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            waits.micros.push(waited);
        } else {
            waits.failed += 1;
        }
        due += Duration::from_secs(1) / rate;
    }
    Ok(waits.sorted())
}

fn open(address: &str) -> Result<TcpStream, String> {
    let failed = |error: io::Error| format!("{address}: {error}");
    let stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    Ok(stream)
}

fn called(line: &mut TcpStream, request: &[u8]) -> io::Result<bool> {
    line.write_all(request)?;
    let mut answers = Answers::default();
    loop {
        let closed = answers.read(line)?;
        if let Some(answer) = answers.next() {
            return Ok(answer.status == 200 && answer.result);
        }
        if closed {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
