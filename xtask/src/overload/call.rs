//! One call as bytes, and answers as they come back.
use std::{
    io::{self, Read as _},
    net::TcpStream,
};

/// A call of the smallest tool there is, of a client whose requests stand for themselves.
pub(super) fn request(address: &str, key: &str) -> Vec<u8> {
    let body = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_simple_text","#,
        r#""arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
        r#""io.modelcontextprotocol/clientInfo":{"name":"overload","version":"1"},"#,
        r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#
    );
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
         Mcp-Name: test_simple_text\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// What asks whether the gateway lives.
pub(super) fn health(address: &str) -> Vec<u8> {
    format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Answers as they come, cut out of what was read.
#[derive(Default)]
pub(super) struct Answers {
    pending: Vec<u8>,
}

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether it is a result, not an error.
    pub(super) result: bool,
}

/// The most of an answer that is waited for, in bytes.
const LONGEST: usize = 1 << 20;

impl Answers {
    /// Reads what is there; whether the other side has closed.
    pub(super) fn read(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        let mut piece = [0; 16 << 10];
        let read = stream.read(&mut piece)?;
        self.pending.extend_from_slice(piece.get(..read).unwrap_or_default());
        if self.pending.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(read == 0)
    }

    /// The next whole answer.
    pub(super) fn next(&mut self) -> Option<Answer> {
        let end = find(&self.pending, b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(self.pending.get(..end)?).ok()?.to_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let whole = end + length.unwrap_or(0_usize);
        let body = self.pending.get(end..whole)?;
        let result = find(body, br#""result""#).is_some();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        self.pending.drain(..whole);
        Some(Answer { status, result })
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_out_of_whatever_comes() {
        let one = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"result\":1}";
        let two = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}";
        let mut answers = Answers::default();
        let mut seen = Vec::new();
        for byte in one.iter().chain(two) {
            answers.pending.push(*byte);
            while let Some(Answer { status, result }) = answers.next() {
                seen.push((status, result));
            }
        }
        assert_eq!(seen, [(200, true), (429, false)]);
    }
}
