//! The file: private, migrated, shared.
use std::{
    fs, io,
    ops::{Deref, DerefMut},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::StoreError;

/// How long a call waits for another process that is writing.
const BUSY: Duration = Duration::from_secs(5);

/// Each takes the file from the version that is its index to the next.
const MIGRATIONS: [&str; 7] = [
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
];

/// Durable state. Cheap to clone; all clones share one connection that writes, and one that reads
/// and so waits for nobody who writes, in this process or another.
#[derive(Clone, Debug)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    reader: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the SQLite file at `path`, creating it (mode 0600), its directory (0700) and its
    /// tables as needed. Safe to do from several processes at once.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Database`]; [`StoreError::Newer`] if a later version of
    /// this program has been here.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let mut connection = Connection::open_with_flags(path, flags())?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        // From the beginning: what moves within the file before it is deleted leaves copies.
        connection.pragma_update(None, "secure_delete", true)?;
        write_ahead(&connection)?;
        migrate(&mut connection)?;
        let reader = Connection::open_with_flags(path, flags())?;
        reader.busy_timeout(BUSY)?;
        reader.pragma_update(None, "trusted_schema", false)?;
        reader.pragma_update(None, "query_only", true)?;
        let [connection, reader] =
            [connection, reader].map(|connection| Arc::new(Mutex::new(connection)));
        Ok(Self { connection, reader })
    }

    /// The connection, for one short transaction. A thread that panicked inside one has had its
    /// transaction rolled back, so poisoning means nothing here but is passed on all the same.
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.connection
            .lock()
            .map_err(|_: PoisonError<MutexGuard<'_, Connection>>| StoreError::Poisoned)
    }

    /// The connection that only reads: it sees what is committed, whoever is writing.
    pub(crate) fn lock_reader(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        self.reader
            .lock()
            .map_err(|_: PoisonError<MutexGuard<'_, Connection>>| StoreError::Poisoned)
    }

    /// Like [`Store::lock`], for a transaction that must survive a power failure.
    pub(crate) fn lock_durable(&self) -> Result<Durable<'_>, StoreError> {
        let connection = self.lock()?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Durable(connection))
    }
}

/// The file is there by now, and its path is no URI.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// The connection while its transactions wait for the disk.
pub(crate) struct Durable<'a>(MutexGuard<'a, Connection>);

impl Deref for Durable<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Durable<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Drop for Durable<'_> {
    fn drop(&mut self) {
        // If this fails, what comes after waits for the disk too, which is slower and no worse.
        let _slower = self.0.pragma_update(None, "synchronous", "NORMAL");
    }
}

/// SQLite gives its side files the mode of the main one, so that one is made first. A directory
/// that others may write to is closed to them: they could put another file in place.
fn make_private(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        close_to_others(&fs::File::open(directory)?, 0o022, 0o700)?;
    }
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let file =
        fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    close_to_others(&file, 0o077, 0o600)
}

/// Sets the mode to `private` if it has any bit of `lax`.
fn close_to_others(file: &fs::File, lax: u32, private: u32) -> io::Result<()> {
    if file.metadata()?.permissions().mode() & lax == 0 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(private))
}

/// Switching to write-ahead logging does not wait for the busy time-out when another process is
/// doing the same, so it is tried again.
fn write_ahead(connection: &Connection) -> Result<(), StoreError> {
    let mut tries_left = 500;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Ok(()) => return Ok(()),
            Err(e) if busy(&e) && tries_left > 0 => tries_left -= 1,
            Err(e) => return Err(e.into()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // `Immediate` takes the write lock first, so that of several processes one migrates and the
    // others then see its version.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let done = usize::try_from(found).map_err(|_| StoreError::Damaged { what: "version" })?;
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    if found < known {
        transaction.pragma_update(None, "user_version", known)?;
    }
    transaction.commit()?;
    Ok(())
}

/// A time as it is written: RFC 3339 in UTC, always nine decimals, so that text sorts as time does.
pub(crate) fn stored(time: jiff::Timestamp) -> String {
    format!("{time:.9}")
}

/// A time as it was written, RFC 3339 in UTC.
pub(crate) fn timestamp(text: &str) -> Result<jiff::Timestamp, StoreError> {
    text.parse().map_err(|_| StoreError::Damaged { what: "time" })
}
