//! What a person reads of what a terminal gets.

/// `bytes` without escape sequences, carriage returns and bells. A sequence that is cut off at the
/// end is left out, so that what is here stays when more comes.
pub(super) fn strip(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        bytes = match first {
            0x1b => after_escape(rest),
            b'\r' | 0x07 => rest,
            byte => {
                out.push(*byte);
                rest
            }
        };
    }
    out
}

fn after_escape(bytes: &[u8]) -> &[u8] {
    match bytes {
        // A control sequence ends with a letter or one of a few signs.
        [b'[', rest @ ..] => after(rest, |b| (0x40..=0x7e).contains(&b)),
        // An operating system command ends with a bell or with escape and backslash.
        [b']', rest @ ..] => {
            let rest = after(rest, |b| b == 0x07 || b == 0x1b);
            rest.strip_prefix(b"\\").unwrap_or(rest)
        }
        [b'(' | b')' | b'#', _, rest @ ..] | [_, rest @ ..] => rest,
        [] => &[],
    }
}

fn after(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|&b| is_end(b)).map_or(bytes.len(), |at| at + 1);
    bytes.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn only_what_can_be_read_is_left() {
        let cases: [(&str, &str); 7] = [
            ("plain\r\n", "plain\n"),
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b[?25lhidden", "hidden"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;http://x\x1b\\link", "link"),
            ("\x1b(Bset\x1b7\x1b8", "set"),
            ("cut\x1b[3", "cut"),
        ];
        for (bytes, text) in cases {
            assert_eq!(strip(bytes.as_bytes()), text.as_bytes(), "{bytes:?}");
        }
    }
}
