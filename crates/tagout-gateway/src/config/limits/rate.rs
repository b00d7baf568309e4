//! So much per time.
use std::{fmt, time::Duration};

/// So much per time, of which some may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    amount: u64,
    per: Duration,
    burst: u64,
    unit: Unit,
}

/// Of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Calls, or units of cost.
    Calls,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// What may be written.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::Calls => {
                "`\"100/s\"`, `\"600/min\"`, `\"5000/h\"`, `\"20000/day\"`, or `\"100/s burst 20\"`"
            }
            Self::Bytes => {
                "`\"512 KiB/s\"`, `\"20 MiB/min\"`, `\"1 GiB/h\"`, or `\"1 MiB/s burst 8 MiB\"`"
            }
        }
    }

    /// The most that may be written, per time and at once.
    const fn most(self) -> u64 {
        match self {
            Self::Calls => 1_000_000_000,
            Self::Bytes => 1 << 40,
        }
    }
}

const PERIODS: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("day", 86_400)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Rate {
    /// `amount` calls `per` that time, all of them at once if need be.
    #[must_use]
    pub const fn calls(amount: u64, per: Duration) -> Self {
        Self { amount, per, burst: amount, unit: Unit::Calls }
    }

    /// The same of bytes.
    #[must_use]
    pub const fn bytes(amount: u64, per: Duration) -> Self {
        Self { amount, per, burst: amount, unit: Unit::Bytes }
    }

    /// Reads `100/s` and its like. Without a `burst` all that a period allows may come at once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, unit: Unit) -> Result<Self, &'static str> {
        let (amount, rest) = text.split_once('/').ok_or("it does not say per what time")?;
        let mut words = rest.split_whitespace();
        let period = words.next().unwrap_or_default();
        let period = PERIODS.iter().find(|(name, _)| *name == period);
        let (_, seconds) = period.ok_or("the time is none of s, min, h and day")?;
        let amount = quantity(amount, unit)?;
        let burst = match words.next() {
            None => amount,
            Some("burst") => quantity(&words.collect::<Vec<_>>().join(" "), unit)?,
            Some(_) => return Err("after the time there may only be a `burst`"),
        };
        Ok(Self { amount, per: Duration::from_secs(*seconds), burst, unit })
    }

    /// How long one more waits that takes `n`, in nanoseconds, in the long run.
    #[must_use]
    pub fn time_of(&self, n: u64) -> u64 {
        let nanos = u128::from(n) * self.per.as_nanos() / u128::from(self.amount.max(1));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// As much as may come at once.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }
}

fn quantity(text: &str, unit: Unit) -> Result<u64, &'static str> {
    let text = text.trim();
    let (number, size) = match unit {
        Unit::Calls => (text, 1),
        Unit::Bytes => {
            let sized =
                SIZES.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?, *size)));
            sized.ok_or("a size ends in B, KiB, MiB or GiB")?
        }
    };
    let number: u64 = number.trim_end().parse().map_err(|_| "it is no whole number")?;
    let amount = number.checked_mul(size).filter(|amount| (1..=unit.most()).contains(amount));
    amount.ok_or("it is nothing, or too much")
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.per.as_secs();
        let period = PERIODS.iter().find(|(_, s)| *s == seconds).map_or("s", |(name, _)| name);
        shown(f, self.amount, self.unit)?;
        write!(f, "/{period}")?;
        if self.burst != self.amount {
            f.write_str(" burst ")?;
            shown(f, self.burst, self.unit)?;
        }
        Ok(())
    }
}

fn shown(f: &mut fmt::Formatter<'_>, amount: u64, unit: Unit) -> fmt::Result {
    let sized = SIZES.iter().find(|(_, size)| amount.is_multiple_of(*size));
    match (unit, sized) {
        (Unit::Bytes, Some((name, size))) => write!(f, "{} {name}", amount / size),
        (Unit::Bytes, None) | (Unit::Calls, _) => write!(f, "{amount}"),
    }
}
