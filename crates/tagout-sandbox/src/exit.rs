//! How a program ended.
use std::fmt;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It was killed, because together with all that it started it took more memory than
    /// [`Bounds::memory`](crate::Bounds::memory).
    Memory,
    /// Its jailer was killed, and the kernel killed it along; how it would have ended is not known.
    Lost,
}

impl Exit {
    /// Whether it exited with code 0.
    #[must_use]
    pub const fn success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Memory => f.write_str("took more memory than `memory_mb` allows"),
            Self::Lost => f.write_str("lost with its jailer"),
        }
    }
}
