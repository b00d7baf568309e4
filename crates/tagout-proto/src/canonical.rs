//! The canonical form of a JSON value: what digests and approvals are made over.
//!
//! As RFC 8785: no white space, members sorted by key (UTF-16 code units), strings with the
//! shortest escapes. Unlike it, numbers stay as they were written, because what is approved is
//! what is sent.
use crate::value::{Kind, Value, quoted};

impl Value<'_> {
    /// The canonical form.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::with_capacity(self.raw().len());
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut String) {
        match self.kind() {
            Kind::Object => {
                let mut members: Vec<_> = self.members().collect();
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                let members = members.iter().map(|(key, value)| (Some(key.as_ref()), *value));
                write_all(out, members, ['{', '}']);
            }
            Kind::Array => write_all(out, self.elements().map(|v| (None, v)), ['[', ']']),
            Kind::String | Kind::Escaped => out.push_str(&quoted(&self.text().unwrap_or_default())),
            Kind::Number | Kind::True | Kind::False | Kind::Null => out.push_str(self.raw()),
        }
    }
}

fn write_all<'a>(
    out: &mut String,
    values: impl Iterator<Item = (Option<&'a str>, Value<'a>)>,
    [open, close]: [char; 2],
) {
    out.push(open);
    for (n, (key, value)) in values.enumerate() {
        if n > 0 {
            out.push(',');
        }
        if let Some(key) = key {
            out.push_str(&quoted(key));
            out.push(':');
        }
        value.write_canonical(out);
    }
    out.push(close);
}
