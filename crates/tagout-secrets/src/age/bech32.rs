//! Bech32 (BIP 173), in which age writes its keys; without its bound of 90 characters.
use tagout_proto::Secret;

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// 32 bytes under a name, in lower case.
pub(super) fn encoded(name: &str, bytes: &[u8; 32]) -> String {
    let mut fives = regrouped(bytes, 8, 5, true).unwrap_or_default();
    let check = checksum(name, &fives);
    fives.extend(check);
    let mut text = String::with_capacity(name.len() + 1 + fives.len());
    text.push_str(name);
    text.push('1');
    text.extend(
        fives.iter().filter_map(|five| LETTERS.get(usize::from(*five))).map(|b| *b as char),
    );
    text
}

/// The 32 bytes that `text` holds under `name`; upper or lower case, not both.
pub(super) fn decoded(name: &str, text: &str) -> Option<Secret<[u8; 32]>> {
    let mixed = text.bytes().any(|b| b.is_ascii_lowercase())
        && text.bytes().any(|b| b.is_ascii_uppercase());
    if mixed || text.len() > 128 {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let data = text.strip_prefix(name)?.strip_prefix('1')?;
    let five = |byte: u8| LETTERS.iter().position(|letter| *letter == byte);
    let fives: Option<Vec<u8>> =
        data.bytes().map(|b| five(b).and_then(|five| u8::try_from(five).ok())).collect();
    let fives = fives?;
    let (body, check) = fives.split_at_checked(fives.len().checked_sub(6)?)?;
    if checksum(name, body) != check {
        return None;
    }
    let bytes = regrouped(body, 5, 8, false)?;
    Some(Secret::new(bytes.try_into().ok()?))
}

fn checksum(name: &str, fives: &[u8]) -> [u8; 6] {
    let high = name.bytes().map(|b| b >> 5);
    let low = name.bytes().map(|b| b & 31);
    let all = high.chain([0]).chain(low).chain(fives.iter().copied()).chain([0; 6]);
    let mut state: u32 = 1;
    for five in all {
        let top = state >> 25;
        state = ((state & 0x01ff_ffff) << 5) ^ u32::from(five);
        for (n, with) in
            [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].iter().enumerate()
        {
            if top >> n & 1 == 1 {
                state ^= with;
            }
        }
    }
    state ^= 1;
    std::array::from_fn(|n| (state >> (5 * (5 - n)) & 31).to_le_bytes()[0])
}

/// Bits in groups of `from` as bits in groups of `to`.
fn regrouped(from_groups: &[u8], from: u32, to: u32, pad: bool) -> Option<Vec<u8>> {
    let (mut held, mut bits) = (0_u32, 0);
    let mut groups = Vec::with_capacity(64);
    let mask = (1 << to) - 1;
    let mut push = |group: u32| groups.push((group & mask).to_le_bytes()[0]);
    for group in from_groups {
        held = (held << from | u32::from(*group)) & 0xfff;
        bits += from;
        while bits >= to {
            bits -= to;
            push(held >> bits);
        }
    }
    if pad {
        if bits > 0 {
            push(held << (to - bits));
        }
    } else if bits >= from || held & ((1 << bits) - 1) != 0 {
        return None;
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_nothing_else() {
        let bytes = std::array::from_fn(|n| u8::try_from(n * 7 % 256).unwrap());
        let text = encoded("age", &bytes);
        assert_eq!(decoded("age", &text).unwrap().expose(), &bytes);
        assert_eq!(decoded("age", &text.to_uppercase()).unwrap().expose(), &bytes);
        assert!(decoded("agf", &text).is_none());
        let (start, last) = text.split_at(text.len() - 1);
        assert!(decoded("age", start).is_none());
        let other = if last == "q" { "p" } else { "q" };
        assert!(decoded("age", &format!("{start}{other}")).is_none());
        assert!(decoded("age", &text.replacen('a', "A", 1)).is_none(), "mixed case");
    }
}
