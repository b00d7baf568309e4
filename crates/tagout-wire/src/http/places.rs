//! How many connections one peer has.
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many connections each peer has now.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<BTreeMap<IpAddr, usize>>);

/// A connection that counts for its peer until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    peer: IpAddr,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        // The guarded sections do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of `peer`, if it has fewer than `most`.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr, most: usize) -> Option<Place> {
        let peer = household(peer);
        let mut taken = self.taken();
        let count = taken.get(&peer).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        taken.insert(peer, count + 1);
        Some(Place { places: Arc::clone(self), peer })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.peer)),
        }
    }
}

/// What one neighbour has to itself: an IPv4 address, or the half of an IPv6 address that is not
/// its own to choose.
pub(super) fn household(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => IpAddr::V6((u128::from(six) >> 64 << 64).into()),
        IpAddr::V4(_) | IpAddr::V6(_) => peer.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_places() {
        let places = Arc::new(Places::default());
        let take = |peer: &str| places.take(peer.parse().unwrap(), 2);
        let (_first, second) = (take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").unwrap();
        drop(second);
        let _again = take("192.0.2.1").unwrap();
        let six = [take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap()];
        assert!(take("2001:db8::3").is_none(), "it can choose that half itself");
        let _neighbour = take("2001:db8:0:1::1").unwrap();
        drop(six);
        drop((_first, _other, _again, _neighbour));
        assert!(places.taken().is_empty());
    }
}
