//! How much is kept: the audit log and the state store against their quotas.
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use super::over::{Measure, Over, Whose};
use crate::config::Quotas;

/// How often sizes are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Files of one folder that are looked at; with more its size is not known.
const FILES: usize = 1_000_000;

/// What is kept, and whether there is room for more.
#[derive(Debug)]
pub(super) struct Room {
    kept: [Kept; 2],
    looked: Mutex<Option<Instant>>,
    looking: AtomicBool,
}

#[derive(Debug)]
struct Kept {
    measure: Measure,
    path: PathBuf,
    most: u64,
    level: AtomicU8,
}

const FINE: u8 = 0;
/// From nine tenths on operators are warned.
const NEARLY: u8 = 1;
const FULL: u8 = 2;

impl Room {
    pub(super) fn of(state: &Path, quotas: &Quotas) -> Arc<Self> {
        let kept = |measure, name, most| Kept {
            measure,
            path: state.join(name),
            most,
            level: AtomicU8::new(FINE),
        };
        let audit = kept(Measure::Audit, "audit", quotas.audit_bytes);
        let store = kept(Measure::Store, "state.sqlite", quotas.store_bytes);
        let looking = AtomicBool::new(false);
        let room = Arc::new(Self { kept: [audit, store], looked: Mutex::new(None), looking });
        room.measure();
        room
    }

    /// Whether there is room for one more call, as far as was last seen.
    ///
    /// # Errors
    /// What is full. Nothing more is called then: there would be no record of it.
    pub(super) fn look(self: &Arc<Self>, now: Instant) -> Result<(), Over> {
        self.look_again(now);
        let full = self.kept.iter().find(|kept| kept.level.load(Ordering::Relaxed) == FULL);
        let Some(Kept { measure, most, .. }) = full else { return Ok(()) };
        let bound = format!("{} MiB", most >> 20).into();
        Err(Over { whose: Whose::Gateway, measure: *measure, bound, wait: Some(LOOK) })
    }

    /// Looks at the sizes now and then, on a thread of its own.
    fn look_again(self: &Arc<Self>, now: Instant) {
        {
            // The guarded sections do not panic.
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK) {
                return;
            }
            *looked = Some(now);
        }
        if self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let room = Arc::clone(self);
        let look = move || {
            room.measure();
            room.looking.store(false, Ordering::Release);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(look)),
            Err(_) => look(),
        }
    }

    fn measure(&self) {
        for kept in &self.kept {
            // What is not there yet takes no room; what cannot be read shows when it is written.
            let Size { bytes: size, whole } = size_of(&kept.path, FILES).unwrap_or(NOTHING);
            let level = kept.level_at(size, whole);
            let before = kept.level.swap(level, Ordering::Relaxed);
            let (what, most) = (kept.measure.as_str(), kept.most >> 20);
            match (before < level, level) {
                (true, FULL) if !whole => tracing::error!(
                    what,
                    "it holds more than {FILES} files and is taken for full; no call is made"
                ),
                (true, NEARLY) => tracing::warn!(
                    what,
                    size,
                    "nine tenths of its quota of {most} MiB are used; once it is full no call is made"
                ),
                (true, FULL) => tracing::error!(
                    what,
                    size,
                    "its quota of {most} MiB is used up; no call is made until there is room"
                ),
                _ => {}
            }
        }
    }
}

impl Kept {
    /// What is not counted to the end may be of any size, and is taken for full.
    const fn level_at(&self, size: u64, whole: bool) -> u8 {
        match size {
            _ if !whole => FULL,
            size if size >= self.most => FULL,
            size if size >= self.most / 10 * 9 => NEARLY,
            _ => FINE,
        }
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    bytes: u64,
    /// All was counted.
    whole: bool,
}

const NOTHING: Size = Size { bytes: 0, whole: true };

/// The size of a file with what `SQLite` keeps beside it, or of a folder with what is right in it
/// and one level below, as far as `most` files go.
fn size_of(path: &Path, most: usize) -> io::Result<Size> {
    if !fs::metadata(path)?.is_dir() {
        let log = path.with_extension("sqlite-wal");
        let log = fs::metadata(log).map_or(0, |log| log.len());
        let bytes = fs::metadata(path)?.len().saturating_add(log);
        return Ok(Size { bytes, whole: true });
    }
    let mut bytes = 0_u64;
    let mut folders = vec![(path.to_owned(), 0)];
    let mut left = most;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() && depth == 0 {
                folders.push((entry.path(), 1));
            }
            let Some(fewer) = left.checked_sub(1) else {
                return Ok(Size { bytes, whole: false });
            };
            left = fewer;
            bytes = bytes.saturating_add(metadata.len());
        }
    }
    Ok(Size { bytes, whole: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(audit_bytes: u64, state: &Path) -> Arc<Room> {
        Room::of(state, &Quotas { audit_bytes, ..Quotas::default() })
    }

    #[test]
    fn what_is_full_lets_nothing_through_until_there_is_room() {
        let state = tempfile::tempdir().unwrap();
        let audit = state.path().join("audit");
        fs::create_dir_all(audit.join("payloads")).unwrap();
        fs::write(audit.join("payloads/1"), vec![0; 1 << 20]).unwrap();
        assert!(room(10 << 20, state.path()).look(Instant::now()).is_ok());
        let full = room(1 << 20, state.path());
        let over = full.look(Instant::now()).unwrap_err();
        assert_eq!((over.code(), over.retry_after_s()), ("limit-quota", 10));
        fs::remove_file(audit.join("payloads/1")).unwrap();
        let later = Instant::now() + LOOK * 2;
        drop(full.look(later));
        assert!(full.look(later).is_ok());
    }

    #[test]
    fn what_is_not_counted_to_the_end_is_taken_for_full() {
        let state = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3"] {
            fs::write(state.path().join(name), "four").unwrap();
        }
        let size = |most| size_of(state.path(), most).unwrap();
        assert_eq!(size(3), Size { bytes: 12, whole: true });
        assert_eq!(size(2), Size { bytes: 8, whole: false });
        let room = room(1 << 20, state.path());
        let levels = [(12, true), (12, false)].map(|(n, whole)| room.kept[0].level_at(n, whole));
        assert_eq!(levels, [FINE, FULL]);
    }
}
