//! Opens connections for reading and for writing.

use std::ffi::c_int;
use std::ops::Range;
use std::path::Path;
use std::slice;
use std::time::Duration;

use industrydb_core::{Error, Result, Stop};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::others::{look_before_reading, reject_inherited, tell_of_others};
use super::transaction::{begin, commit, databases, refresh};
use crate::config::options::{IN_MEMORY, Options};
use crate::ffi::errors::{code_name, failed, passes};
use crate::ffi::watch::{Watch, busy_timeout};
use crate::ffi::{collation, descriptors};

impl Options {
    /// Opens a connection that may also write, and creates a missing file, unless the URI forbids
    /// writing.
    pub(crate) fn open_to_write(&self, stop: &Stop) -> Result<Connection> {
        if self.is_read_only {
            self.reject_absent()?;
        }
        reject_inherited(slice::from_ref(&self.path))?;
        let connection = descriptors::open(&self.name(), self.flags_to_write())
            .map_err(|error| self.not_opened(&error, None))?;
        look_before_reading(&connection)?;
        tell_of_others(&connection)?;
        // Only the first read of the file shows whether it is a database.
        let watch = Watch::new(&connection, stop);
        let looked = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
        drop(watch);
        stop.check()?;
        looked.map_err(|error| self.not_opened(&error, None))?;
        Ok(connection)
    }

    /// Opens a read-only connection for one thread, runs the caller's setup statements, and begins
    /// a transaction: all further statements of the connection see the same state.
    pub(crate) fn open(&self, setup: &[String], stop: &Stop) -> Result<Connection> {
        if self.path.as_os_str() == IN_MEMORY {
            return Err(Error::configuration(
                "an in-memory SQLite database belongs to the connection that made it; read a file",
            ));
        }
        self.reject_absent()?;
        reject_inherited(slice::from_ref(&self.path))?;
        let connection = descriptors::open(&self.name(), self.flags_to_read())
            .map_err(|error| self.not_opened(&error, None))?;
        collation::stand_in(&connection);
        // Only the first read of the file shows whether it is a database.
        let watch = Watch::new(&connection, stop);
        let main = ["main".to_owned()];
        let begun = match begin(&connection, &main) {
            Err(error) if is_hot(&error) && !self.is_read_only => {
                look_before_reading(&connection)?;
                self.roll_back(stop)
                    .and_then(|()| begin(&connection, &main))
            }
            begun => begun,
        };
        drop(watch);
        stop.check()?;
        begun.map_err(|error| self.not_opened(&error, Some(busy_timeout(&connection))))?;
        if !setup.is_empty() {
            let run = || {
                commit(&connection)?;
                // A busy timeout that the setup statements set must be kept.
                let is_about_waiting = |sql: &String| sql.to_lowercase().contains("busy_timeout");
                let waits = !setup.iter().any(is_about_waiting);
                let watch = Watch::of(&connection, stop, waits);
                setup
                    .iter()
                    .try_for_each(|sql| connection.execute_batch(sql))?;
                drop(watch);
                let _watch = Watch::new(&connection, stop);
                let databases = databases(&connection)?;
                begin(&connection, &databases)?;
                refresh(&connection, &databases)
            };
            run().map_err(|error| match stop.check() {
                Ok(()) if is_hot(&error) => failed(&error).context(
                    "pre_execution_query: a file has the journal of a writer that was ended in the middle of a \
                     transaction: read from it once by itself, which rolls that back",
                ),
                Ok(()) => failed(&error).context("pre_execution_query"),
                Err(interrupted) => interrupted,
            })?;
        }
        Ok(connection)
    }

    /// Opens a connection with the lock of a writer, RESERVED: others can read, and begin to, but
    /// nobody can begin to write. `None` if the file cannot be written to.
    pub(super) fn open_in_place_of_writers(&self, stop: &Stop) -> Result<Option<Connection>> {
        if self.is_read_only {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            descriptors::open(&self.path, flags).map_err(|error| self.not_opened(&error, None))?;
        look_before_reading(&connection)?;
        let watch = Watch::new(&connection, stop);
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        drop(watch);
        stop.check()?;
        match begun {
            Ok(()) => Ok(Some(connection)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => Ok(None),
            Err(error) => Err(self.not_opened(&error, Some(busy_timeout(&connection)))),
        }
    }

    /// Rolls back the transaction of an interrupted writer, which needs a connection that may
    /// write.
    fn roll_back(&self, stop: &Stop) -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = descriptors::open(&self.path, flags)?;
        let _watch = Watch::new(&connection, stop);
        connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
        log::info!(
            "rolled back what a writer had left in {}",
            self.path.display()
        );
        Ok(())
    }

    /// Rejects a path without a file, and an immutable file whose log or journal has changes.
    fn reject_absent(&self) -> Result<()> {
        let path = &self.path;
        if !path.exists() {
            let hint = absolute_hint(path);
            return Err(self.cannot_open(&format!("there is no such file{hint}"), None));
        }
        if !path.is_file() {
            return Err(self.cannot_open("it is not a file", None));
        }
        if let Some(beside) = self.left_out() {
            let why = format!(
                "immutable=1 would leave out what is in {}: open the file once with sqlite3, which takes that into \
                 the file, or copy both to where that can be done",
                beside.display()
            );
            return Err(self.cannot_open(&why, None));
        }
        Ok(())
    }

    /// Returns the error for a file that could not be opened; `busy_timeout` is how long a lock was
    /// waited for.
    fn not_opened(&self, error: &rusqlite::Error, busy_timeout: Option<Duration>) -> Error {
        let failure = error.sqlite_error();
        let why = match (failure.map(|failure| failure.code), busy_timeout) {
            (Some(ErrorCode::NotADatabase), _) => {
                return self.cannot_open("it is not an SQLite database, or it is encrypted", None);
            }
            (Some(ErrorCode::DatabaseBusy), Some(waited)) => format!(
                "{error} by a process that writes to it, for longer than {} s: let it end its \
                 transaction and read again, or give the file PRAGMA journal_mode = WAL, in which \
                 a writer and readers do not wait for each other",
                waited.as_secs_f32()
            ),
            (Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen), _) => self.not_writable(error),
            _ => error.to_string(),
        };
        self.cannot_open(&why, failure.map(|failure| failure.extended_code))
    }

    /// Returns the message for a file that SQLite must write to before it can read it, with the
    /// remedy.
    fn not_writable(&self, error: &rusqlite::Error) -> String {
        if let Some(journal) = self.hot_journal() {
            let remedy = if self.is_read_only {
                "leave mode=ro out, which keeps that from being rolled back"
            } else {
                "open it once with sqlite3 where the file and its folder can be written to, which rolls that back"
            };
            return format!(
                "{error}: a writer was ended in the middle of a transaction, and has left {}: {remedy}",
                journal.display()
            );
        }
        if self.is_in_wal_mode() {
            return format!(
                "{error}: it is in WAL mode, whose readers write to files beside it, which cannot be made here: \
                 ?immutable=1 behind its path reads it where nobody changes it, as on read-only media; or give it \
                 PRAGMA journal_mode = DELETE before it goes there"
            );
        }
        error.to_string()
    }

    /// Returns whether the file's header says WAL mode, in its bytes for the write version and the
    /// read version.
    fn is_in_wal_mode(&self) -> bool {
        const VERSIONS: Range<usize> = 18..20;
        const WAL: [u8; 2] = [2, 2];
        let options = Self {
            is_read_only: true,
            is_immutable: true,
            ..self.clone()
        };
        // The header is read through SQLite: closing a plain file would drop all locks of the
        // process on it.
        let header = || {
            let connection = descriptors::open(&options.name(), options.flags_to_read())?;
            let sql = "SELECT data FROM sqlite_dbpage WHERE pgno = 1";
            connection.query_row(sql, [], |row| row.get(0))
        };
        header().is_ok_and(|page: Vec<u8>| page.get(VERSIONS) == Some(&WAL))
    }

    fn cannot_open(&self, why: &str, code: Option<c_int>) -> Error {
        Error::Connection {
            message: format!("cannot open the SQLite file {}: {why}", self.path.display()),
            code: code.map(code_name),
            is_transient: code.is_some_and(passes),
        }
    }
}

/// Returns whether the error says that an interrupted writer's transaction must be rolled back
/// first.
fn is_hot(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|failure| failure.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

/// Returns a hint for a relative path: two slashes instead of three are the most common mistake.
fn absolute_hint(path: &Path) -> &'static str {
    if path.is_relative() {
        " (the path is relative; an absolute one has three slashes: sqlite:///…)"
    } else {
        ""
    }
}
