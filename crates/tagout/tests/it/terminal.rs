//! A person at a terminal, in front of the binary.
use std::collections::BTreeMap;

use tagout_testkit::pty::{Seat, Streams};

use crate::place::{Place, TAGOUT};

/// The binary with its streams piped; the terminal is there, as `/dev/tty`.
pub(crate) fn seat(place: &Place, args: &[&str]) -> Seat {
    let mut seat = Seat::new(TAGOUT);
    seat.args = args.iter().map(Into::into).collect();
    seat.env = place
        .env()
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect::<BTreeMap<_, _>>();
    seat.env.insert("TERM".into(), "xterm".into());
    seat.cwd = Some(place.root().to_owned());
    seat.streams = Streams::Piped;
    seat
}
