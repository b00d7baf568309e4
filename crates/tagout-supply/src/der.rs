//! DER, as much of it as certificates need. Reads what is there and copies nothing.

/// The rest of what is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// One value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With tag and length.
    pub(crate) whole: &'a [u8],
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, if it is well formed: a tag of one byte, a definite length, the shortest that
    /// there is for it.
    pub(crate) fn any(&mut self) -> Option<Value<'a>> {
        let bytes = self.0;
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                if length < 0x80 || digits.first() == Some(&0) {
                    return None;
                }
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = bytes.get(..bytes.len() - rest.len())?;
        self.0 = rest;
        Some(Value { tag, content, whole })
    }

    /// The next value, if it has this tag; else nothing is read.
    pub(crate) fn of(&mut self, tag: u8) -> Option<Value<'a>> {
        let mut ahead = *self;
        let value = ahead.any().filter(|value| value.tag == tag)?;
        *self = ahead;
        Some(value)
    }
}

impl<'a> Value<'a> {
    pub(crate) const fn inside(&self) -> Reader<'a> {
        Reader::new(self.content)
    }

    /// The bytes of a bit string that is made of whole bytes.
    pub(crate) fn bits(&self) -> Option<&'a [u8]> {
        let (unused, bits) = self.content.split_first()?;
        (self.tag == BIT_STRING && *unused == 0).then_some(bits)
    }
}

/// The only value of `bytes`, if it has this tag.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Option<Value<'_>> {
    let mut reader = Reader::new(bytes);
    let value = reader.of(tag)?;
    reader.is_empty().then_some(value)
}

/// A value with this content.
pub(crate) fn written(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let digits = length.to_be_bytes();
    let significant = digits.iter().skip_while(|byte| **byte == 0).copied();
    let mut out = vec![tag];
    if length < 0x80 {
        out.extend(u8::try_from(length));
    } else {
        let significant: Vec<u8> = significant.collect();
        out.extend(u8::try_from(significant.len()).map(|count| 0x80 | count));
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let bytes = written(OCTET_STRING, &content);
            let value = only(&bytes, OCTET_STRING).unwrap();
            assert_eq!((value.content, value.whole), (&content[..], &bytes[..]));
        }
    }

    #[test]
    fn what_is_no_der_is_not_read() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x81, 0x01, 0],
            &[0x30, 0x82, 0x00, 0x80],
            &[0x1f, 0x01, 0x00],
            &[0x30, 0x02, 0x00],
            &[0x30, 0x84, 0, 0, 0, 0],
        ] {
            assert!(Reader::new(bytes).any().is_none(), "{bytes:?}");
        }
        assert!(only(&[0x04, 0x00, 0x00], OCTET_STRING).is_none());
    }
}
