//! Opens connections, read-only: nothing is ever created or changed.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{ptr, slice};

use industrydb_core::{DatabaseConfig, Error, Result, Stop};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::cursor::{Watch, code_name};
use crate::dialect::quoted;

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    path: PathBuf,
}

impl Options {
    /// Refuses options: SQLite has none.
    pub(crate) fn check_names(config: &DatabaseConfig) -> Result<()> {
        match config.options.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::configuration(format!(
                "unknown option {name:?} in the SQLite URI, which takes none; a ? in a file's name \
                 must be written %3F"
            ))),
        }
    }

    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        Self::check_names(config)?;
        match config.database.as_deref() {
            None => Err(Error::configuration(
                "the SQLite URI names no file: sqlite:///absolute/path.db or sqlite://relative.db",
            )),
            Some(path) => Ok(Self { path: path.into() }),
        }
    }

    /// Opens a connection that may also write, and make the file.
    pub(crate) fn open_to_write(&self, stop: &Stop) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&self.path, flags).and_then(|connection| {
            // The first look into the file tells whether it is a database at all.
            let watch = Watch::new(&connection, stop);
            let looked = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
            drop(watch);
            looked.map(|()| connection)
        });
        stop.check()?;
        opened.map_err(|error| Error::Connection {
            message: format!(
                "cannot open the SQLite file {}: {error}",
                self.path.display()
            ),
            code: error
                .sqlite_error()
                .map(|failure| code_name(failure.extended_code)),
        })
    }

    /// Opens a connection of its own for one thread, runs the caller's statements, and begins a
    /// transaction: all further statements of the connection see the same state.
    pub(crate) fn open(&self, setup: &[String], stop: &Stop) -> Result<Connection> {
        let path = &self.path;
        if path.as_os_str() == ":memory:" {
            return Err(Error::configuration(
                "an in-memory SQLite database belongs to the connection that made it; read a file",
            ));
        }
        let cannot = |why: &str| {
            Error::connection(format!(
                "cannot open the SQLite file {}: {why}",
                path.display()
            ))
        };
        if !path.exists() {
            return Err(cannot(&format!(
                "there is no such file{}",
                absolute_hint(path)
            )));
        }
        if !path.is_file() {
            return Err(cannot("it is not a file"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| cannot(&error.to_string()))?;
        // The first look into the file tells whether it is a database at all.
        let watch = Watch::new(&connection, stop);
        let begun = begin(&connection, &["main".to_owned()]);
        drop(watch);
        stop.check()?;
        begun.map_err(|error| match error.sqlite_error() {
            Some(failure) if failure.code == ErrorCode::NotADatabase => {
                cannot("it is not an SQLite database, or it is encrypted")
            }
            failure => Error::Connection {
                message: cannot(&error.to_string()).to_string(),
                code: failure.map(|failure| code_name(failure.extended_code)),
            },
        })?;
        if !setup.is_empty() {
            let run = || {
                commit(&connection)?;
                setup
                    .iter()
                    .try_for_each(|sql| connection.execute_batch(sql))?;
                begin(&connection, &databases(&connection)?)
            };
            let _watch = Watch::new(&connection, stop);
            run().map_err(|error| match stop.check() {
                Ok(()) => failed(&error).context("pre_execution_query"),
                Err(interrupted) => interrupted,
            })?;
        }
        Ok(connection)
    }
}

/// Begins a transaction that sees the files as they are now: `databases` are the names of the connection's.
fn begin(connection: &Connection, databases: &[String]) -> rusqlite::Result<()> {
    commit(connection)?;
    connection.execute_batch("BEGIN")?;
    pragma(connection, databases, "schema_version").map(drop)
}

/// The names of the connection's files: `main`, and those that were attached.
fn databases(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_database_list")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// A number of each of the files.
fn pragma(connection: &Connection, databases: &[String], name: &str) -> rusqlite::Result<Vec<i64>> {
    let number = |database: &String| {
        let sql = format!("PRAGMA {}.{name}", quoted(database));
        connection.query_row(&sql, [], |row| row.get(0))
    };
    databases.iter().map(number).collect()
}

/// How long [`begin_together`] goes on against a file that is always being written to.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits for one lock: a writer may hold it, and itself wait for one of us.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// How long any other statement waits for a lock; the default of `rusqlite`.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// Lets all connections begin anew, with the state that the first one sees.
///
/// A file in WAL mode keeps that state, and the others ask for it. In the other modes, as in a WAL file that
/// nobody has written to yet, all begin again and again until nobody has changed the file while they did.
pub(crate) fn begin_together(
    options: &Options,
    setup: &[String],
    connections: &[Connection],
    stop: &Stop,
) -> Result<()> {
    // A connection outside a transaction is told of every change that another one commits.
    let monitor = options.open(setup, stop)?;
    let databases = databases(&monitor).map_err(|e| failed(&e))?;
    let try_once = || -> rusqlite::Result<bool> {
        let version = || pragma(&monitor, &databases, "data_version");
        let before = version()?;
        let Some((first, others)) = connections.split_first() else {
            return Ok(true);
        };
        begin(first, &databases)?;
        let snapshots: Vec<Option<Snapshot>> = databases
            .iter()
            .map(|database| Snapshot::new(first, database))
            .collect();
        for connection in others {
            commit(connection)?;
            connection.execute_batch("BEGIN")?;
            for (database, snapshot) in databases.iter().zip(&snapshots) {
                match snapshot {
                    Some(snapshot) => snapshot.open(connection, database)?,
                    None => {
                        pragma(connection, slice::from_ref(database), "schema_version")?;
                    }
                }
            }
        }
        // One file's states are one moment's; those of several must be looked at.
        Ok(matches!(snapshots.as_slice(), [Some(_)]) || version()? == before)
    };
    let wait = |time: Duration| {
        let mut all = connections.iter().chain([&monitor]);
        all.try_for_each(|connection| connection.busy_timeout(time))
            .map_err(|e| failed(&e))
    };
    commit(&monitor).map_err(|e| failed(&e))?;
    wait(SHORT_WAIT)?;
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        stop.check()?;
        match try_once() {
            Ok(true) => return wait(LONG_WAIT),
            Err(e) if !is_transient(&e) => {
                return Err(failed(&e));
            }
            // Make way for who waits for us.
            Ok(false) | Err(_) => connections
                .iter()
                .try_for_each(commit)
                .map_err(|e| failed(&e))?,
        }
    }
    Err(Error::Query {
        message: format!(
            "the file is written to so often that {} connections did not come to see the same \
             state within {} s; read it in one partition, or with snapshot=False",
            connections.len(),
            PATIENCE.as_secs()
        ),
        code: Some("SQLITE_BUSY".to_owned()),
        partition: None,
    })
}

/// Whether another connection is in the way: it holds a lock, or has just moved a state from the log to the file.
fn is_transient(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failure| {
        failure.code == ErrorCode::DatabaseBusy
            || failure.extended_code == ffi::SQLITE_ERROR_SNAPSHOT
    })
}

/// The state of a file in WAL mode, which remains as long as a transaction sees it.
/// <https://www.sqlite.org/c3ref/snapshot.html>
struct Snapshot(ptr::NonNull<ffi::sqlite3_snapshot>);

impl Snapshot {
    /// The state that the connection's transaction sees, if it can be named.
    fn new(connection: &Connection, database: &str) -> Option<Self> {
        let name = CString::new(database).ok()?;
        let mut snapshot = ptr::null_mut();
        // SAFETY: the connection and the name live until the call returns. Without success, no snapshot
        // is made.
        let code = unsafe {
            ffi::sqlite3_snapshot_get(handle(connection), name.as_ptr(), &raw mut snapshot)
        };
        (code == ffi::SQLITE_OK)
            .then(|| ptr::NonNull::new(snapshot))
            .flatten()
            .map(Self)
    }

    /// Lets a transaction that has not read the file yet see the same state.
    fn open(&self, connection: &Connection, database: &str) -> rusqlite::Result<()> {
        let name = CString::new(database)?;
        // SAFETY: as in `new`; the snapshot is freed only when it is dropped.
        let code = unsafe {
            ffi::sqlite3_snapshot_open(handle(connection), name.as_ptr(), self.0.as_ptr())
        };
        if code == ffi::SQLITE_OK {
            Ok(())
        } else {
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        unsafe { ffi::sqlite3_snapshot_free(self.0.as_ptr()) }
    }
}

/// Ends the transaction, if there is one.
fn commit(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() {
        Ok(())
    } else {
        connection.execute_batch("COMMIT")
    }
}

pub(crate) fn failed(error: &rusqlite::Error) -> Error {
    Error::Query {
        message: error.to_string(),
        code: error
            .sqlite_error()
            .map(|failure| code_name(failure.extended_code)),
        partition: None,
    }
}

/// Two slashes make a relative path: the commonest slip.
fn absolute_hint(path: &Path) -> &'static str {
    if path.is_relative() {
        " (the path is relative; an absolute one has three slashes: sqlite:///…)"
    } else {
        ""
    }
}

/// The number of bytes behind a pointer of SQLite's, which are never negative.
pub(crate) fn length(bytes: std::ffi::c_int) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

/// The handle that the C interface takes.
pub(crate) fn handle(connection: &Connection) -> *mut ffi::sqlite3 {
    // SAFETY: the handle is used only while the connection is borrowed, and never closed.
    unsafe { connection.handle() }
}
