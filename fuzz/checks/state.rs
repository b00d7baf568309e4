//! What must hold of the handles that clients carry, whatever they hold and whoever brings them.
use std::sync::{
    LazyLock,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use tagout_gateway::state::{Bound, HANDLE_BYTES, Held, Passed, Sealer, StateError};

static SEALER: LazyLock<Sealer> = LazyLock::new(|| Sealer::new().expect("there is randomness"));
/// Each run comes later than the ones before, so that what they used is forgotten in time.
static NOW: AtomicI64 = AtomicI64::new(1_700_000_000);

/// Takes `bytes` as a handle, and as all that one is made of.
pub(crate) fn check(bytes: &[u8]) {
    let now = Timestamp::from_second(NOW.fetch_add(1, Ordering::Relaxed)).expect("in range");
    let mut rest = bytes;
    let made = Made::of(&mut rest);
    let text = String::from_utf8_lossy(bytes);
    for handle in [text.to_string(), format!("tagout1.{text}")] {
        assert_eq!(SEALER.open(&handle, &made.bound(), now), Err(StateError::Foreign));
    }

    let lasts = SignedDuration::from_secs(i64::from(made.lasts));
    let handle = SEALER.seal(&made.bound(), made.held.clone(), now, lasts).expect("it is sealed");
    if handle.len() > HANDLE_BYTES {
        assert_eq!(SEALER.open(&handle, &made.bound(), now), Err(StateError::Foreign));
        return;
    }
    // Changed, cut or lengthened anywhere; the place and the change are the input's.
    let at = usize::from(made.place) % handle.len();
    let mut changed = handle.clone().into_bytes();
    changed[at] ^= made.change.max(1);
    let cut = handle.as_bytes()[..at].to_vec();
    let mut longer = handle.clone().into_bytes();
    longer.insert(at, made.change);
    for other in [changed, cut, longer] {
        if let Ok(other) = String::from_utf8(other) {
            assert_eq!(SEALER.open(&other, &made.bound(), now), Err(StateError::Foreign), "{at}");
        }
    }
    // Brought by somebody else, with something else, or to another gateway.
    for other in made.others() {
        let opened = SEALER.open(&handle, &other.bound(), now);
        assert_eq!(opened, Err(StateError::Foreign), "{other:?}");
    }
    let stranger = Sealer::new().expect("there is randomness");
    assert_eq!(stranger.open(&handle, &made.bound(), now), Err(StateError::Foreign));
    // Too late; which does not use it up.
    let late = now + lasts + SignedDuration::from_secs(1 + i64::from(made.change));
    assert_eq!(SEALER.open(&handle, &made.bound(), late), Err(StateError::Expired));
    let last = now + SignedDuration::from_secs(i64::from(made.lasts.min(made.place)));
    assert_eq!(SEALER.open(&handle, &made.bound(), last), Ok(made.held.clone()));
    // A call that waits in the process is taken up once by being taken out, not by this.
    let again = match &made.held {
        Held::Parked { .. } => Ok(made.held.clone()),
        Held::Passed(_) => Err(StateError::Spent),
    };
    assert_eq!(SEALER.open(&handle, &made.bound(), last), again);
}

/// What a handle is made of.
#[derive(Clone, Debug)]
struct Made {
    user: String,
    by: String,
    method: String,
    params: [u8; 32],
    held: Held,
    lasts: u16,
    place: u16,
    change: u8,
}

impl Made {
    fn of(rest: &mut &[u8]) -> Self {
        let place = u16::from_be_bytes([byte(rest), byte(rest)]);
        let (change, lasts) = (byte(rest), u16::from(byte(rest)));
        let mut params = [0; 32];
        params.fill_with(|| byte(rest));
        let (user, by, method) = (text(rest), text(rest), text(rest));
        let held = if byte(rest).is_multiple_of(2) {
            let mut number = [0; 16];
            number.fill_with(|| byte(rest));
            Held::Parked { number: u128::from_be_bytes(number) }
        } else {
            let approved = byte(rest).is_multiple_of(2);
            let (server, definition) = (text(rest), text(rest));
            let state =
                byte(rest).is_multiple_of(2).then(|| String::from_utf8_lossy(rest).into_owned());
            Held::Passed(Passed {
                server,
                connection: u64::from(lasts),
                state,
                keys: vec![method.clone()],
                definition,
                approved: approved.then(|| user.clone()),
                approved_at: approved.then_some(Timestamp::UNIX_EPOCH),
                rounds: u32::from(change),
                until: i64::from(place),
            })
        };
        Self { user, by, method, params, held, lasts, place, change }
    }

    fn bound(&self) -> Bound<'_> {
        let principal = [self.user.as_str(), self.by.as_str()];
        Bound { principal, method: &self.method, params: self.params }
    }

    /// The same with one part another, or with the parts cut at another place.
    fn others(&self) -> Vec<Self> {
        let more = |text: &str| format!("{text}x");
        let mut params = self.params;
        params[usize::from(self.place) % 32] ^= self.change.max(1);
        let moved = match self.user.char_indices().next_back() {
            Some((at, last)) => {
                let (user, by) =
                    (self.user.split_at(at).0.to_owned(), format!("{last}{}", self.by));
                Self { user, by, ..self.clone() }
            }
            None => Self { user: more(""), ..self.clone() },
        };
        vec![
            Self { user: more(&self.user), ..self.clone() },
            Self { by: more(&self.by), ..self.clone() },
            Self { method: more(&self.method), ..self.clone() },
            Self { params, ..self.clone() },
            moved,
        ]
    }
}

fn byte(rest: &mut &[u8]) -> u8 {
    let Some((first, others)) = rest.split_first() else { return 0 };
    *rest = others;
    *first
}

fn text(rest: &mut &[u8]) -> String {
    let length = usize::from(byte(rest));
    let (taken, others) = rest.split_at(length.min(rest.len()));
    *rest = others;
    String::from_utf8_lossy(taken).into_owned()
}
