//! States of files that one connection holds for the reads of other processes.
//!
//! The holder's transaction keeps the state: the log of a file in WAL mode is not reset, and a file
//! in the other journal modes is not written to. Other connections open the snapshot of the log, or
//! read the file's own bytes. Each of them proves that what it sees is the held state, so that a
//! file that was replaced, or changed after the holder's end, is an error.

use std::fmt::{self, Write};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use industrydb_core::{Error, Result, Stop};
use rusqlite::{Connection, ErrorCode, ffi};

use super::others::tell_of_others;
use super::together::{begin_together, follow, keeps_out, paused};
use super::transaction::{commit, databases, refresh};
use crate::config::options::Options;
use crate::ffi::errors::failed;
use crate::ffi::file::{DatabaseFile, has_moved};
use crate::ffi::snapshot::{self, Snapshot};
use crate::ffi::watch::{Watch, busy_timeout};

/// Pause before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// Largest number of attempts to hold a state, between which others commit and checkpoint.
const ATTEMPTS: usize = 20;

/// Reasons for which a state is no longer held.
const CHANGED: &str = "the file has changed since: the block of hold_snapshot has ended, or the file is in WAL mode and \
    its log was empty when the snapshot was held";
const WITHOUT_LOG: &str = "others have committed since, and the log of this file, which is in WAL mode, was empty when \
    the snapshot was held: only a log that has a commit keeps earlier states beside later ones, so hold a snapshot \
    after a commit, or let others write once this one is released";

/// State of each file of a connection, in the order of its databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldFiles(Vec<HeldFile>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HeldFile {
    /// Numbers of the file's device and inode.
    identity: (u64, u64),
    state: State,
}

/// State of a file, as its transactions see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Snapshot of a log with commits.
    Log([u8; snapshot::BYTES]),
    /// The file's own bytes: its size and time of modification, and its header's count of changes.
    /// A commit in WAL mode may leave the count as it is; it comes to the file by a checkpoint.
    Bytes {
        size: u64,
        modified_ns: u64,
        changes: u32,
    },
}

/// Opens the connections that hold the current state of the files, and returns it.
///
/// In the modes without a log, one of the connections has the lock of a writer: a writer that waits
/// for readers would keep new readers out.
///
/// # Errors
///
/// When a file cannot be opened or told from others, or is changed all the time.
pub(crate) fn hold(
    options: &Options,
    setup: &[String],
    stop: &Stop,
) -> Result<(HeldFiles, Vec<Connection>)> {
    if !cfg!(unix) {
        return Err(Error::configuration(
            "this system does not number files, so that one could not be told from another that takes its place",
        ));
    }
    let mut connections = vec![options.open(setup, stop)?];
    tell_of_others(&connections[0])?;
    let mut in_place_of_writers = None;
    if keeps_out(&connections[0]).map_err(|e| failed(&e))? {
        commit(&connections[0]).map_err(|e| failed(&e))?; // a writer may wait for it
        in_place_of_writers = options.open_in_place_of_writers(stop)?;
    }
    for _ in 0..ATTEMPTS {
        if begin_together(options, setup, &mut connections, 1, stop)?
            && let Some(held) = HeldFiles::of(&connections[0])?
            && held.is_kept_by(&connections[0], stop)?
        {
            connections.extend(in_place_of_writers);
            return Ok((held, connections));
        }
        paused(PAUSE, stop)?;
    }
    Err(Error::Query {
        message: format!(
            "no state of the file {} could be held in {ATTEMPTS} attempts: others write to it all the time, or replace \
             it, or its log has changes and this SQLite is built without SQLITE_ENABLE_SNAPSHOT",
            options.path.display()
        ),
        code: Some("SQLITE_BUSY".to_owned()),
        partition: None,
        is_transient: true,
    })
}

/// Opens a connection for reading, as [`Options::open`] does; if a state is held, the connection
/// sees it.
///
/// # Errors
///
/// As for [`Options::open`]; [`Error::Query`] if the state is no longer held.
pub(crate) fn open(
    options: &Options,
    setup: &[String],
    held: Option<&HeldFiles>,
    stop: &Stop,
) -> Result<Connection> {
    let connection = options.open(setup, stop)?;
    if let Some(held) = held {
        held.enter(&connection, stop)?;
    }
    Ok(connection)
}

impl HeldFiles {
    /// Returns the states that the connection's transaction sees; `None` if a file was replaced, or
    /// if SQLite has no snapshot of a log with changes.
    fn of(connection: &Connection) -> Result<Option<Self>> {
        let files = files(connection).map_err(|e| failed(&e))?;
        let mut held = Vec::new();
        for (database, path) in files {
            let Ok(metadata) = path.metadata() else {
                return Ok(None);
            };
            if has_moved(connection, &database) {
                return Ok(None);
            }
            let state = match State::of_bytes(connection, &database, &metadata) {
                Some(state) => state.map_err(|e| failed(&e))?,
                None => match Snapshot::new(connection, &database) {
                    Some(snapshot) => State::Log(snapshot.bytes()),
                    None => return Ok(None),
                },
            };
            held.push(HeldFile {
                identity: identity(&metadata),
                state,
            });
        }
        Ok(Some(Self(held)))
    }

    /// Makes the connection's transaction keep the logs that it sees, and returns whether they are
    /// still the same. A transaction that has begun with all of a log's changes in the file would
    /// let the log be reset; one that has opened a snapshot does not.
    fn is_kept_by(&self, connection: &Connection, stop: &Stop) -> Result<bool> {
        if !self
            .0
            .iter()
            .any(|file| matches!(file.state, State::Log(_)))
        {
            return Ok(true);
        }
        match self.follow(connection, stop) {
            Ok(()) => Ok(Self::of(connection)?.as_ref() == Some(self)),
            Err(error) if is_gone(&error) || is_busy(&error) => Ok(false),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Makes the connection's transaction see these states.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] if they are no longer held.
    fn enter(&self, connection: &Connection, stop: &Stop) -> Result<()> {
        let (started, patience) = (Instant::now(), busy_timeout(connection) * 2);
        loop {
            let seen = Self::of(connection)?;
            if seen.as_ref() == Some(self) {
                return Ok(());
            }
            self.reject_ended(seen.as_ref())?;
            // A checkpoint may be waiting for the holder, and keep the snapshot from being opened.
            match self.follow(connection, stop) {
                Ok(()) if Self::of(connection)?.as_ref() == Some(self) => return Ok(()),
                Ok(()) => return Err(no_longer_held(CHANGED)),
                Err(error) if is_gone(&error) => return Err(no_longer_held(CHANGED)),
                Err(error) if !is_busy(&error) || started.elapsed() > patience => {
                    return Err(failed(&error));
                }
                Err(_) => {}
            }
            paused(PAUSE, stop)?;
        }
    }

    /// Returns an error unless these may be earlier states of the files whose states are `seen`,
    /// and the logs may still have them.
    fn reject_ended(&self, seen: Option<&Self>) -> Result<()> {
        let Some(Self(seen)) = seen else {
            return Err(no_longer_held(CHANGED));
        };
        if self.0.len() != seen.len() {
            return Err(Error::configuration(format!(
                "the snapshot is held of {} files, and the read has {}: give both the same pre_execution_query",
                self.0.len(),
                seen.len()
            )));
        }
        for (held, seen) in self.0.iter().zip(seen) {
            if held.identity != seen.identity {
                return Err(no_longer_held(
                    "another file is in the place of the held one",
                ));
            }
            match (held.state.snapshot(), seen.state.snapshot()) {
                (Some(held), Some(seen)) if !held.is_later(&seen) => {}
                (None, None) if held.state == seen.state => {}
                (None, Some(_)) => return Err(no_longer_held(WITHOUT_LOG)),
                _ => return Err(no_longer_held(CHANGED)),
            }
        }
        Ok(())
    }

    /// Begins a new transaction on a connection with the snapshots of the logs.
    fn follow(&self, connection: &Connection, stop: &Stop) -> rusqlite::Result<()> {
        let _watch = Watch::new(connection, stop);
        let all = databases(connection)?;
        let mut snapshots: Vec<Option<Snapshot>> = all.iter().map(|_| None).collect();
        for ((database, _), held) in files(connection)?.iter().zip(&self.0) {
            if let Some(place) = all.iter().position(|name| name == database) {
                snapshots[place] = held.state.snapshot();
            }
        }
        follow(connection, &all, &snapshots)?;
        refresh(connection, &all)
    }

    /// Parses what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] for any other text.
    pub(crate) fn parse(token: &str) -> Result<Self> {
        let files: Option<Vec<HeldFile>> = token.split(' ').map(HeldFile::parse).collect();
        files.map(Self).ok_or_else(|| {
            Error::configuration(format!(
                "snapshot={token:?} is no snapshot of an SQLite file: pass what hold_snapshot returns, or its token"
            ))
        })
    }
}

impl fmt::Display for HeldFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, file) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{file}")?;
        }
        Ok(())
    }
}

impl HeldFile {
    fn parse(text: &str) -> Option<Self> {
        let (device, rest) = text.split_once('-')?;
        let (inode, state) = rest.split_once('-')?;
        let state = match state.split('-').collect::<Vec<_>>()[..] {
            [size, modified_ns, changes] => State::Bytes {
                size: size.parse().ok()?,
                modified_ns: modified_ns.parse().ok()?,
                changes: changes.parse().ok()?,
            },
            [log] => State::Log(from_hex(log)?),
            _ => return None,
        };
        Some(Self {
            identity: (device.parse().ok()?, inode.parse().ok()?),
            state,
        })
    }
}

impl fmt::Display for HeldFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-", self.identity.0, self.identity.1)?;
        match self.state {
            State::Log(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            State::Bytes {
                size,
                modified_ns,
                changes,
            } => write!(f, "{size}-{modified_ns}-{changes}"),
        }
    }
}

impl State {
    /// Returns the state of a file without a log, or whose log is empty; `None` for any other.
    fn of_bytes(
        connection: &Connection,
        database: &str,
        metadata: &Metadata,
    ) -> Option<rusqlite::Result<Self>> {
        /// Offset in the file's header of the number of changes.
        const CHANGES: i64 = 24;
        let file = DatabaseFile::new(connection, database)?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let mut changes = [0; 4];
        let read = file.read(CHANGES, &mut changes);
        Some(read.map(|()| Self::Bytes {
            size: metadata.len(),
            modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX),
            changes: u32::from_be_bytes(changes),
        }))
    }

    fn snapshot(&self) -> Option<Snapshot> {
        match self {
            Self::Log(bytes) => Snapshot::from_bytes(*bytes),
            Self::Bytes { .. } => None,
        }
    }
}

/// Returns the bytes that hexadecimal digits stand for.
fn from_hex(text: &str) -> Option<[u8; snapshot::BYTES]> {
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = pairs.map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

/// Returns the connection's databases that have a file, with its path.
fn files(connection: &Connection) -> rusqlite::Result<Vec<(String, PathBuf)>> {
    let mut statement = connection.prepare("PRAGMA database_list")?;
    let found = statement.query_map([], |row| {
        let file: Option<String> = row.get("file")?; // NULL or empty for one in memory
        Ok((row.get("name")?, PathBuf::from(file.unwrap_or_default())))
    })?;
    let has_file = |found: &rusqlite::Result<(String, PathBuf)>| !matches!(found, Ok((_, path)) if path == Path::new(""));
    found.filter(has_file).collect()
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Is not called: [`hold`] refuses these systems.
#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}

fn no_longer_held(why: &str) -> Error {
    Error::Query {
        message: format!("the snapshot of this read is no longer held: {why}"),
        code: None,
        partition: None,
        is_transient: false,
    }
}

/// Returns whether a log no longer has a snapshot.
fn is_gone(error: &rusqlite::Error) -> bool {
    let failure = error.sqlite_error();
    failure.is_some_and(|failure| failure.extended_code == ffi::SQLITE_ERROR_SNAPSHOT)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, FileLockingProtocolFailed};
    let code = error.sqlite_error_code();
    matches!(code, Some(DatabaseBusy | FileLockingProtocolFailed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::folder::Folder;

    #[test]
    fn a_held_log_is_seen_beside_later_commits_and_no_later_one_is() {
        let folder = Folder::new("held-log");
        let (writer, stop) = (folder.connect(), Stop::default());
        let script = "PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1)";
        writer.execute_batch(script).expect("valid");
        let options = folder.options();
        let (held, _holders) = hold(&options, &[], &stop).expect("held");
        writer.execute_batch("DELETE FROM t").expect("written");
        let (later, _later_holders) = hold(&options, &[], &stop).expect("held");
        assert_ne!(held, later);
        for (state, rows) in [(&held, 1), (&later, 0)] {
            let seen = HeldFiles::parse(&state.to_string()).expect("a token");
            let connection = open(&options, &[], Some(&seen), &stop).expect("held");
            let count = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
            assert_eq!(count, Ok(rows));
        }
        held.reject_ended(Some(&later)).expect("earlier");
        later.reject_ended(Some(&held)).expect_err("later");
    }

    #[test]
    fn an_empty_log_keeps_no_state_beside_later_ones() {
        let folder = Folder::new("held-empty-log");
        let (writer, stop) = (folder.connect(), Stop::default());
        let script =
            "PRAGMA journal_mode = wal; CREATE TABLE t (x); PRAGMA wal_checkpoint(TRUNCATE)";
        writer.execute_batch(script).expect("valid");
        let options = folder.options();
        let (held, holders) = hold(&options, &[], &stop).expect("held");
        let enter = || open(&options, &[], Some(&held), &stop).map(drop);
        assert!(enter().is_ok());
        writer
            .execute_batch("INSERT INTO t VALUES (1)")
            .expect("written");
        let error = enter().expect_err("a commit").to_string();
        assert!(error.contains("hold a snapshot after a commit"), "{error}");
        drop(holders); // its block has ended, and a checkpoint may empty the log
        writer
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .expect("written");
        let error = enter().expect_err("a checkpoint").to_string();
        assert!(
            error.contains("the block of hold_snapshot has ended, or"),
            "{error}"
        );
    }

    #[test]
    fn tokens_are_parsed_as_they_were_written() {
        let log = "0a".repeat(snapshot::BYTES);
        for token in [
            "1-2-4096-1700000000000000000-7".to_owned(),
            format!("1-2-{log}"),
            format!("18446744073709551615-0-{log} 1-2-0-0-4294967295"),
        ] {
            let held = HeldFiles::parse(&token).expect("a token");
            assert_eq!(held.to_string(), token);
        }
        let (short, odd) = (&log[2..], format!("{}+1", &log[2..]));
        for token in [
            "",
            "x",
            "1-2",
            "1-2-",
            "1-2-3",
            "1-2-3-4-4294967296",
            "1-2-3-4-5-6",
            " 1-2-3-4-5",
            &format!("1-2-{short}"),
            &format!("1-2-{odd}"),
            &format!("1-2-{log}0"),
            "00000003-0000001B-1",
        ] {
            HeldFiles::parse(token).expect_err(token);
        }
    }
}
