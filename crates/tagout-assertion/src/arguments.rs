//! The form of arguments that the digest is made over.
//!
//! RFC 8785 (JCS), with one difference: a whole number beyond 2^53 is written with all its digits.
//! RFC 8785 would round it to a double, and two calls with different numbers would have one digest.
use tagout_proto::{Digest, Document, Limits, ReadError, Value, quoted, value::Kind};

/// The digest of `arguments`; those of a call that has none are `{}`.
#[must_use]
pub fn digest_of(arguments: Option<Value<'_>>) -> Digest {
    arguments.map_or_else(|| Digest::of(b"{}"), |value| Digest::of(canonical(value).as_bytes()))
}

/// The digest of the arguments in `text`, a JSON text.
///
/// # Errors
/// The text is no JSON that can be read in one way only.
pub fn digest_of_json(text: &str) -> Result<Digest, ReadError> {
    let document = Document::read(text.as_bytes(), Limits::default())?;
    Ok(digest_of(Some(document.root())))
}

/// What the digest of `text`, a JSON text, is made over.
///
/// # Errors
/// As [`digest_of_json`].
pub fn in_canonical_form(text: &str) -> Result<String, ReadError> {
    Ok(canonical(Document::read(text.as_bytes(), Limits::default())?.root()))
}

fn canonical(value: Value<'_>) -> String {
    let mut out = String::with_capacity(value.raw().len());
    write(value, &mut out);
    out
}

fn write(value: Value<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            let mut members: Vec<_> = value.members().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (n, (key, member)) in members.iter().enumerate() {
                separate(n, out);
                out.push_str(&quoted(key));
                out.push(':');
                write(*member, out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (n, element) in value.elements().enumerate() {
                separate(n, out);
                write(element, out);
            }
            out.push(']');
        }
        Kind::String | Kind::Escaped => {
            out.push_str(&quoted(&value.text().unwrap_or_default()));
        }
        Kind::Number => out.push_str(&number(value.raw())),
        Kind::True | Kind::False | Kind::Null => out.push_str(value.raw()),
    }
}

fn separate(n: usize, out: &mut String) {
    if n > 0 {
        out.push(',');
    }
}

/// A number as ECMAScript writes it (RFC 8785, section 3.2.2.3), or whole with all its digits.
fn number(literal: &str) -> String {
    if !literal.contains(['.', 'e', 'E']) {
        // The reader lets through one way only to write a whole number, but for this one.
        return if literal == "-0" { "0" } else { literal }.to_owned();
    }
    match literal.parse::<f64>() {
        Ok(double) if double.is_finite() => ecma(double),
        // Nothing reads it as a number of its own, so it stands for itself.
        Ok(_) | Err(_) => literal.to_owned(),
    }
}

/// `Number::toString` of ECMAScript, from the shortest digits that give the number back.
fn ecma(double: f64) -> String {
    if double == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:e}", double.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if double < 0.0 { "-" } else { "" };
    // How many digits stand before the point, were it written out.
    let whole = exponent + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or_default());
    let at = |n: i32| {
        let (before, after) = digits.split_at_checked(usize::try_from(n).unwrap_or_default())?;
        Some(format!("{before}.{after}"))
    };
    let text = match whole {
        1..=21 if count <= whole => format!("{digits}{}", zeros(whole - count)),
        1..=21 => at(whole).unwrap_or_default(),
        -5..=0 => format!("0.{}{digits}", zeros(-whole)),
        _ => {
            let digits = if count == 1 { digits.clone() } else { at(1).unwrap_or_default() };
            format!("{digits}e{exponent:+}")
        }
    };
    format!("{sign}{text}")
}
