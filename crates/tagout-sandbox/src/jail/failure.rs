//! Why a program was not started, as it is told to the gateway.
use std::{io, path::PathBuf};

use crate::{Part, Stage, message::Report};

/// Why a program was not started.
#[derive(Debug)]
pub(super) enum Failure {
    /// A step failed.
    Step(Stage, io::Error),
    /// A path that it was given is of no use.
    Path(PathBuf, String),
    /// The machine lacks what it needs.
    Missing(Vec<(Part, String)>),
    /// Another process said so.
    Told(Report),
}

impl Stage {
    pub(super) fn failed(self) -> impl FnOnce(io::Error) -> Failure {
        move |source| Failure::Step(self, source)
    }

    pub(super) fn refused(self) -> impl FnOnce(rustix::io::Errno) -> Failure {
        move |source| Failure::Step(self, source.into())
    }
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Step(stage, source) => {
                Self::Failed(stage, source.raw_os_error().unwrap_or(libc::EPROTO))
            }
            Failure::Path(path, what) => Self::Path(path, what),
            Failure::Missing(parts) => Self::Missing(parts),
            Failure::Told(report) => report,
        }
    }
}
