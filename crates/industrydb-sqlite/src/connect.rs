//! Opens connections, read-only: nothing is ever created or changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use industrydb_core::{DatabaseConfig, Error, Result, Stop};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::cursor::code_name;
use crate::dialect::quoted;

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    path: PathBuf,
}

impl Options {
    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        if let Some(name) = config.options.keys().next() {
            return Err(Error::configuration(format!(
                "unknown option {name:?} in the SQLite URI, which takes none; a ? in a file's name \
                 must be written %3F"
            )));
        }
        match config.database.as_deref() {
            None => Err(Error::configuration(
                "the SQLite URI names no file: sqlite:///absolute/path.db or sqlite://relative.db",
            )),
            Some(":memory:") => Err(Error::configuration(
                "an in-memory SQLite database belongs to the connection that made it; read a file",
            )),
            Some(path) => Ok(Self { path: path.into() }),
        }
    }

    /// Opens a connection of its own for one thread, runs the caller's statements, and begins a
    /// transaction: all further statements of the connection see the same state.
    pub(crate) fn open(&self, setup: &[String]) -> Result<Connection> {
        let path = &self.path;
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
        begin(&connection).map_err(|error| match error.sqlite_error() {
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
                begin(&connection)
            };
            run().map_err(|error| failed(&error).context("pre_execution_query"))?;
        }
        Ok(connection)
    }
}

/// Begins a transaction that sees the file as it is now, and the files that were attached to it.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    commit(connection)?;
    connection.execute_batch("BEGIN")?;
    pragma(connection, "schema_version").map(drop)
}

/// A number of each of the connection's files.
fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_database_list")?;
    let databases = statement.query_map([], |row| row.get(0))?;
    databases
        .map(|database: rusqlite::Result<String>| {
            let sql = format!("PRAGMA {}.{name}", quoted(&database?));
            connection.query_row(&sql, [], |row| row.get(0))
        })
        .collect()
}

/// How long [`begin_together`] goes on against a file that is always being written to.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits for one lock: a writer may hold it, and itself wait for one of us.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// How long any other statement waits for a lock; the default of `rusqlite`.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// Lets all connections begin anew, again and again until nobody has changed the file while they did:
/// then all of them see the same state.
pub(crate) fn begin_together(
    options: &Options,
    setup: &[String],
    connections: &[Connection],
    stop: &Stop,
) -> Result<()> {
    // A connection outside a transaction is told of every change that another one commits.
    let monitor = options.open(setup)?;
    let try_once = || -> rusqlite::Result<bool> {
        let version = || pragma(&monitor, "data_version");
        let before = version()?;
        connections.iter().try_for_each(begin)?;
        Ok(version()? == before)
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
            Err(e) if e.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
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
