//! Diagnostics, without the secrets that servers were given.
use std::io::{self, Write};

use tagout_gateway::secrets::clean_text;

/// Standard error. What is written at once is looked at as one, and an event is.
#[derive(Debug)]
pub(crate) struct Clean;

impl Write for Clean {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().lock().write_all(clean_text(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
