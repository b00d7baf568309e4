//! A byte stream cut into the texts that it carries: events (`text/event-stream`) or lines of JSON.
//! However the bytes are cut on their way, the texts are the same.

/// How texts are told apart in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events, of which only `data` counts: every wire repeats the event's name in it.
    Events,
    /// One JSON text a line.
    Lines,
}

/// Bytes of one text, and of one line, at most.
pub(crate) const FRAME_BYTES: usize = 4 << 20;

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadFrame {
    TooLarge,
    NotUtf8,
}

/// Takes bytes and gives texts.
#[derive(Debug)]
pub(crate) struct Frames {
    framing: Framing,
    line: Vec<u8>,
    /// The last line ended with a carriage return, so that a line feed still belongs to it.
    after_return: bool,
    started: bool,
    data: Option<String>,
}

impl Frames {
    pub(crate) const fn new(framing: Framing) -> Self {
        Self { framing, line: Vec::new(), after_return: false, started: false, data: None }
    }

    /// Takes more bytes; gives the texts that are complete with them to `texts`, also those before
    /// an error.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        texts: &mut Vec<String>,
    ) -> Result<(), BadFrame> {
        if self.after_return && !bytes.is_empty() {
            self.after_return = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = bytes.split_at(end);
            self.grow(head)?;
            texts.extend(self.end_of_line()?);
            bytes = match tail.strip_prefix(b"\r") {
                Some(b"") => {
                    self.after_return = true;
                    b""
                }
                Some(rest) => rest.strip_prefix(b"\n").unwrap_or(rest),
                None => tail.get(1..).unwrap_or_default(),
            };
        }
        self.grow(bytes)
    }

    /// The stream is at its end. A text that only lacks its end of line still counts: whether it is
    /// whole shows when it is read.
    pub(crate) fn end(&mut self) -> Result<Option<String>, BadFrame> {
        let last = if self.line.is_empty() { None } else { self.end_of_line()? };
        Ok(last.or_else(|| self.data.take()))
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), BadFrame> {
        if self.line.len() + bytes.len() > FRAME_BYTES {
            return Err(BadFrame::TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<Option<String>, BadFrame> {
        let line = String::from_utf8(std::mem::take(&mut self.line));
        let line = line.map_err(|_| BadFrame::NotUtf8)?;
        let first = !std::mem::replace(&mut self.started, true);
        let line = if first { line.strip_prefix('\u{feff}').unwrap_or(&line) } else { &line };
        match self.framing {
            Framing::Lines => Ok(Some(line.to_owned()).filter(|line| !line.trim().is_empty())),
            Framing::Events if line.is_empty() => Ok(self.data.take()),
            Framing::Events => self.field(line).map(|()| None),
        }
    }

    fn field(&mut self, line: &str) -> Result<(), BadFrame> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name != "data" {
            return Ok(());
        }
        let value = value.strip_prefix(' ').unwrap_or(value);
        let data = match self.data.take() {
            Some(before) => before + "\n" + value,
            None => value.to_owned(),
        };
        if data.len() > FRAME_BYTES {
            return Err(BadFrame::TooLarge);
        }
        self.data = Some(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(framing: Framing, pieces: &[&[u8]]) -> Result<Vec<String>, BadFrame> {
        let mut frames = Frames::new(framing);
        let mut texts = Vec::new();
        for piece in pieces {
            frames.push(piece, &mut texts)?;
        }
        texts.extend(frames.end()?);
        Ok(texts)
    }

    #[test]
    fn events_are_read() {
        let stream = "\u{feff}: hello\r\nevent: x\r\ndata: a\r\ndata:b\r\n\r\ndata: c\n\nid: 1\n\n\
                      data: é\r\rdata: last";
        assert_eq!(all(Framing::Events, &[stream.as_bytes()]).unwrap(), ["a\nb", "c", "é", "last"]);
    }

    #[test]
    fn lines_are_read() {
        let stream = b"{\"a\":1}\r\n\n{\"b\":2}";
        assert_eq!(all(Framing::Lines, &[stream]).unwrap(), ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn what_is_too_large_or_no_text_is_an_error() {
        let long = vec![b'x'; FRAME_BYTES + 1];
        assert_eq!(all(Framing::Lines, &[&long]), Err(BadFrame::TooLarge));
        let line = [b"data: ".as_slice(), &vec![b'x'; FRAME_BYTES / 2], b"\n"].concat();
        assert_eq!(all(Framing::Events, &[&line, &line, &line]), Err(BadFrame::TooLarge));
        assert_eq!(all(Framing::Lines, &[b"\xff\n"]), Err(BadFrame::NotUtf8));
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            text in "(data: ?|event|:|\r|\n|\r\n|é|[a-c]){0,40}",
            cuts in proptest::collection::vec(0usize..200, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut rest = bytes;
            let mut from = 0;
            for cut in cuts {
                let (piece, after) = rest.split_at(cut - from);
                pieces.push(piece);
                (rest, from) = (after, cut);
            }
            pieces.push(rest);
            for framing in [Framing::Events, Framing::Lines] {
                prop_assert_eq!(all(framing, &pieces), all(framing, &[bytes]));
            }
        }
    }
}
