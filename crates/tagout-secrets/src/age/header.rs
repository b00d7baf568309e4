//! The header: the file's key, wrapped for each who may open it, under a code.
use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, aead::Aead as _};
use hmac::Mac as _;
use tagout_proto::Secret;

use super::{AgeError, Identity, Lock, MOST_WORK, drawn, hkdf, hmac, key::Recipient, mac};

pub(super) const VERSION: &str = "age-encryption.org/v1";
const X25519: &str = "age-encryption.org/v1/X25519";
const SCRYPT: &str = "age-encryption.org/v1/scrypt";
/// The most bytes of a header, and stanzas in it, that are looked at.
const MOST_BYTES: usize = 64 << 10;
const MOST_STANZAS: usize = 64;
const COLUMNS: usize = 64;

/// Without padding, and canonical.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// One way to the file's key.
struct Stanza<'a> {
    arguments: Vec<&'a str>,
    body: Vec<u8>,
}

pub(super) fn made(file_key: &Secret<[u8; 16]>, lock: &Lock) -> Result<String, AgeError> {
    let stanza = match lock {
        Lock::Identity(identity) => for_key(file_key, identity.recipient())?,
        Lock::Passphrase(passphrase, work) => for_passphrase(file_key, passphrase, *work)?,
    };
    let mut header = format!("{VERSION}\n{stanza}---");
    let key = hkdf(file_key.expose(), &[], b"header");
    let code = BASE64.encode(hmac(key.expose(), &[header.as_bytes()]));
    header.push_str(&format!(" {code}\n"));
    Ok(header)
}

fn for_key(file_key: &Secret<[u8; 16]>, recipient: Recipient) -> Result<String, AgeError> {
    let ephemeral = Identity::drawn()?;
    let share = ephemeral.recipient().0;
    let agreed = ephemeral.agreed(recipient.0).ok_or(AgeError::NotForUs)?;
    let wrap = hkdf(agreed.expose(), &[share, recipient.0].concat(), X25519.as_bytes());
    Ok(format!("-> X25519 {}\n{}\n", BASE64.encode(share), wrapped(&wrap, file_key)?))
}

fn for_passphrase(
    file_key: &Secret<[u8; 16]>,
    passphrase: &Secret<String>,
    work: u8,
) -> Result<String, AgeError> {
    let mut salt = [0; 16];
    drawn(&mut salt)?;
    let wrap = stretched(passphrase, &salt, work)?;
    let body = wrapped(&wrap, file_key)?;
    Ok(format!("-> scrypt {} {work}\n{body}\n", BASE64.encode(salt)))
}

/// 32 bytes are 43 characters, so one line.
fn wrapped(wrap: &Secret<[u8; 32]>, file_key: &Secret<[u8; 16]>) -> Result<String, AgeError> {
    let cipher = ChaCha20Poly1305::new(wrap.expose().into());
    let body = cipher.encrypt(&Nonce::default(), file_key.expose().as_slice());
    body.map(|body| BASE64.encode(body)).map_err(|_| AgeError::Malformed)
}

fn unwrapped(wrap: &Secret<[u8; 32]>, body: &[u8]) -> Option<Secret<[u8; 16]>> {
    // Of another length there would be more than one key that opens it.
    if body.len() != 32 {
        return None;
    }
    let cipher = ChaCha20Poly1305::new(wrap.expose().into());
    let file_key = Secret::new(cipher.decrypt(&Nonce::default(), body).ok()?);
    Some(Secret::new(file_key.expose().as_slice().try_into().ok()?))
}

fn stretched(
    passphrase: &Secret<String>,
    salt: &[u8; 16],
    work: u8,
) -> Result<Secret<[u8; 32]>, AgeError> {
    if work == 0 || work > MOST_WORK {
        return Err(AgeError::TooMuchWork);
    }
    let parameters = scrypt::Params::new(work, 8, 1).map_err(|_| AgeError::TooMuchWork)?;
    let mut key = [0; 32];
    let salt = [SCRYPT.as_bytes(), salt].concat();
    let stretched = scrypt::scrypt(passphrase.expose().as_bytes(), &salt, &parameters, &mut key);
    stretched.map_err(|_| AgeError::TooMuchWork)?;
    Ok(Secret::new(key))
}

/// The file's key and what follows the header.
pub(super) fn opened<'a>(
    sealed: &'a [u8],
    lock: &Lock,
) -> Result<(Secret<[u8; 16]>, &'a [u8]), AgeError> {
    let (stanzas, coded, code, payload) = read(sealed).ok_or(AgeError::Malformed)?;
    let scrypts = stanzas.iter().filter(|stanza| stanza.arguments.first() == Some(&"scrypt"));
    // A passphrase is alone, so that whoever opens by it knows that nobody else could have made it.
    if scrypts.count() > 0 && stanzas.len() > 1 {
        return Err(AgeError::Malformed);
    }
    let mut found = None;
    for stanza in &stanzas {
        found = match (lock, stanza.arguments.as_slice()) {
            (Lock::Identity(identity), ["X25519", share]) => by_key(identity, share, &stanza.body)?,
            (Lock::Passphrase(passphrase, _), ["scrypt", salt, work]) => {
                Some(by_passphrase(passphrase, (salt, work), &stanza.body)?)
            }
            // What has the name and not the form is no stanza of a newer kind.
            (_, ["X25519", rest @ ..]) if rest.len() != 1 => return Err(AgeError::Malformed),
            (_, ["scrypt", rest @ ..]) if rest.len() != 2 => return Err(AgeError::Malformed),
            _ => None,
        };
        if found.is_some() {
            break;
        }
    }
    let file_key = found.ok_or(AgeError::NotForUs)?;
    let key = hkdf(file_key.expose(), &[], b"header");
    let sound = mac(key.expose(), &[coded]).verify_slice(&code);
    sound.map_err(|_| AgeError::Changed)?;
    Ok((file_key, payload))
}

fn by_key(
    identity: &Identity,
    share: &str,
    body: &[u8],
) -> Result<Option<Secret<[u8; 16]>>, AgeError> {
    let share: Option<[u8; 32]> = BASE64.decode(share).ok().and_then(|share| share.try_into().ok());
    let share = share.ok_or(AgeError::Malformed)?;
    if body.len() != 32 {
        return Err(AgeError::Malformed);
    }
    let agreed = identity.agreed(share).ok_or(AgeError::Malformed)?;
    let salt = [share, identity.recipient().0].concat();
    Ok(unwrapped(&hkdf(agreed.expose(), &salt, X25519.as_bytes()), body))
}

fn by_passphrase(
    passphrase: &Secret<String>,
    (salt, work): (&str, &str),
    body: &[u8],
) -> Result<Secret<[u8; 16]>, AgeError> {
    let salt: Option<[u8; 16]> = BASE64.decode(salt).ok().and_then(|salt| salt.try_into().ok());
    let salt = salt.ok_or(AgeError::Malformed)?;
    let plain = !work.starts_with('0') && work.bytes().all(|b| b.is_ascii_digit());
    let work: u32 = work.parse().ok().filter(|_| plain).ok_or(AgeError::Malformed)?;
    let work = u8::try_from(work).map_err(|_| AgeError::TooMuchWork)?;
    if body.len() != 32 {
        return Err(AgeError::Malformed);
    }
    unwrapped(&stretched(passphrase, &salt, work)?, body).ok_or(AgeError::WrongPassphrase)
}

type Parts<'a> = (Vec<Stanza<'a>>, &'a [u8], Vec<u8>, &'a [u8]);

/// The stanzas, what is under the code, the code, and the payload.
fn read(sealed: &[u8]) -> Option<Parts<'_>> {
    let mut rest = Lines { all: sealed, at: 0 };
    if rest.next()? != VERSION {
        return None;
    }
    let mut stanzas = Vec::new();
    loop {
        let start = rest.at;
        let line = rest.next()?;
        if let Some(code) = line.strip_prefix("--- ") {
            let coded = sealed.get(..start + 3)?;
            let code = BASE64.decode(code).ok().filter(|code| code.len() == 32)?;
            return Some((stanzas, coded, code, sealed.get(rest.at..)?))
                .filter(|p| !p.0.is_empty());
        }
        let arguments: Vec<_> = line.strip_prefix("-> ")?.split(' ').collect();
        let visible = |argument: &&str| {
            !argument.is_empty() && argument.bytes().all(|b| b.is_ascii_graphic())
        };
        if !arguments.iter().all(visible) || stanzas.len() >= MOST_STANZAS {
            return None;
        }
        stanzas.push(Stanza { arguments, body: body(&mut rest)? });
    }
}

/// Lines of 64 characters and a shorter one, which may be empty.
fn body(lines: &mut Lines<'_>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = lines.next()?;
        if line.len() > COLUMNS {
            return None;
        }
        body.extend(BASE64.decode(line).ok()?);
        if line.len() < COLUMNS {
            return Some(body);
        }
    }
}

struct Lines<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.all.get(self.at..)?;
        let room = rest.get(..rest.len().min(MOST_BYTES.saturating_sub(self.at)))?;
        let end = room.iter().position(|byte| *byte == b'\n')?;
        self.at += end + 1;
        std::str::from_utf8(rest.get(..end)?).ok()
    }
}
