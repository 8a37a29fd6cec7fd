//! Opens connections, read-only: nothing is ever created or changed.

use std::ffi::{CString, c_int};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{ptr, slice, thread};

use industrydb_core::{Error, Result, Stop};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::collation;
use crate::cursor::{Watch, busy_timeout, code_name, passes};
use crate::descriptors;
use crate::dialect::quoted;
use crate::options::{IN_MEMORY, Options};

impl Options {
    /// Opens a connection that may also write, and make the file, unless the URI says that nothing is written.
    pub(crate) fn open_to_write(&self, stop: &Stop) -> Result<Connection> {
        if self.is_read_only {
            self.reject_absent()?;
        }
        let connection = descriptors::open(&self.name(), self.flags_to_write())
            .map_err(|error| self.not_opened(&error, None))?;
        descriptors::look_before_reading(&connection)?;
        descriptors::tell_of_others(&connection)?;
        // The first look into the file tells whether it is a database at all.
        let watch = Watch::new(&connection, stop);
        let looked = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
        drop(watch);
        stop.check()?;
        looked.map_err(|error| self.not_opened(&error, None))?;
        Ok(connection)
    }

    /// Opens a connection of its own for one thread, runs the caller's statements, and begins a
    /// transaction: all further statements of the connection see the same state.
    pub(crate) fn open(&self, setup: &[String], stop: &Stop) -> Result<Connection> {
        if self.path.as_os_str() == IN_MEMORY {
            return Err(Error::configuration(
                "an in-memory SQLite database belongs to the connection that made it; read a file",
            ));
        }
        self.reject_absent()?;
        let connection = descriptors::open(&self.name(), self.flags_to_read())
            .map_err(|error| self.not_opened(&error, None))?;
        collation::stand_in(&connection);
        // The first look into the file tells whether it is a database at all.
        let watch = Watch::new(&connection, stop);
        let main = ["main".to_owned()];
        let begun = match begin(&connection, &main) {
            Err(error) if is_hot(&error) && !self.is_read_only => {
                descriptors::look_before_reading(&connection)?;
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
                // What they say about waiting for locks must not be taken back.
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

    /// Undoes what a writer has left in the middle of its transaction, which needs a connection that may write.
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

    /// Refuses a path without a file, and a file that is not all of the database.
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

    /// The error for a file that could not be opened, after a wait of so long for a lock.
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

    /// What to do where SQLite wants to write to read.
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

    /// Whether the file's header says that it is in WAL mode, in its bytes for the versions of who writes and who reads it.
    fn is_in_wal_mode(&self) -> bool {
        const VERSIONS: Range<usize> = 18..20;
        const WAL: [u8; 2] = [2, 2];
        let options = Self {
            is_read_only: true,
            is_immutable: true,
            ..self.clone()
        };
        // By SQLite, which knows that to close a file drops the locks of the whole process.
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

/// Whether there is a transaction to be undone that its writer has not ended.
fn is_hot(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|failure| failure.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

/// Begins a transaction that sees the files as they are now: `databases` are the names of the connection's.
fn begin(connection: &Connection, databases: &[String]) -> rusqlite::Result<()> {
    commit(connection)?;
    connection.execute_batch("BEGIN")?;
    pragma(connection, databases, "schema_version").map(drop)
}

/// The names of the connection's files: `main`, and those that were attached.
pub(crate) fn databases(connection: &Connection) -> rusqlite::Result<Vec<String>> {
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

/// Makes the connection's own copy of the schemas that of the transaction that it is in.
///
/// SQLite keeps what it knows of the tables from one transaction to the next, compiles a statement by that, and looks
/// only at the statement's first step whether it is still so. Then the columns that were told before are those of
/// another table. A statement that has looked leaves the schema as it is now.
pub(crate) fn refresh(connection: &Connection, databases: &[String]) -> rusqlite::Result<()> {
    databases.iter().try_for_each(|database| {
        let sql = format!("SELECT 1 FROM {}.sqlite_schema LIMIT 1", quoted(database));
        let mut statement = connection.prepare(&sql)?;
        statement.exists([]).map(drop)
    })
}

/// How long [`begin_together`] waits for one lock: a writer may hold it, and itself wait for one of us.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// The pause behind the first attempt, which doubles with each further one …
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// … up to this. A writer that waits looks at least ten times a second whether we have let go.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long a pause goes on before a look at whether the work is to stop.
const POLL: Duration = Duration::from_millis(20);

/// Lets connections begin anew, with the state that the first one sees, and opens those that are missing.
///
/// A file in WAL mode keeps that state: the others begin too, and where somebody has committed in between, they ask for it.
/// In the other modes, a connection in a transaction
/// keeps writers out, and a writer that waits for it keeps further readers out: so all let go of the file, begin under
/// short waits, and where one cannot, let go again, for the writer to go on. All of them read one state then, as no
/// commit comes between. After twice the time that a connection waits for a lock, they give up. In a WAL file that nobody has written to yet, or in several files, all begin again until nobody
/// has changed them meanwhile.
pub(crate) fn begin_together(
    options: &Options,
    setup: &[String],
    connections: &mut Vec<Connection>,
    count: usize,
    stop: &Stop,
) -> Result<()> {
    // No connection may wait for a lock while another one is in a transaction.
    let open = || {
        let connection = options.open(setup, stop)?;
        commit(&connection).map_err(|e| failed(&e))?;
        Ok(connection)
    };
    let let_go = |connections: &[Connection]| {
        let result = connections.iter().try_for_each(commit);
        result.map_err(|e| failed(&e))
    };
    let_go(connections)?;
    while connections.len() < count {
        connections.push(open()?);
    }
    // A connection outside a transaction is told of every change that another one commits.
    let monitor = open()?;
    let databases = databases(&monitor).map_err(|e| failed(&e))?;
    let long_wait = busy_timeout(&monitor);
    let wait = |time: Duration| {
        let mut all = connections.iter().chain([&monitor]);
        all.try_for_each(|connection| connection.busy_timeout(time))
            .map_err(|e| failed(&e))
    };
    wait(SHORT_WAIT)?;
    let (started, patience) = (Instant::now(), long_wait * 2);
    let mut attempts = 0;
    let mut pause = FIRST_PAUSE;
    while attempts == 0 || started.elapsed() < patience {
        stop.check()?;
        attempts += 1;
        match try_to_begin(connections, &monitor, &databases) {
            Ok(true) => {
                log::debug!("{count} connections began together at attempt {attempts}");
                return wait(long_wait);
            }
            Err(e) if !is_transient(&e) => return Err(failed(&e)),
            // Make way for who waits for us.
            Ok(false) | Err(_) => let_go(connections)?,
        }
        paused(pause, stop)?;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    Err(Error::Query {
        message: format!(
            "{count} connections did not come to see one state of the file within {} s and {attempts} attempts, \
             since others write to it all the time: read it in one partition, or when less is written, or with a \
             longer PRAGMA busy_timeout, which pre_execution_query can set, or give the file \
             PRAGMA journal_mode = WAL, in which a writer and readers do not wait for each other",
            patience.as_secs_f32()
        ),
        code: Some("SQLITE_BUSY".to_owned()),
        partition: None,
        is_transient: true,
    })
}

/// One attempt of [`begin_together`]: whether all connections see one state now.
fn try_to_begin(
    connections: &[Connection],
    monitor: &Connection,
    databases: &[String],
) -> rusqlite::Result<bool> {
    let version = || pragma(monitor, databases, "data_version");
    let Some((first, others)) = connections.split_first() else {
        return Ok(true);
    };
    let before = version()?;
    begin(first, databases)?;
    let snapshots: Vec<Option<Snapshot>> = databases
        .iter()
        .map(|database| Snapshot::new(first, database))
        .collect();
    for connection in others {
        // Nearly always, nobody has committed meanwhile, and the state is the same. To ask for that state
        // waits for whoever moves the log to the file, and who may himself wait for the first connection.
        begin(connection, databases)?;
        let mut states = databases.iter().zip(&snapshots);
        if states.any(|(database, wanted)| !is_seen(connection, database, wanted.as_ref())) {
            follow(connection, databases, &snapshots)?;
        }
    }
    for connection in connections {
        refresh(connection, databases)?;
    }
    // One file's states are one moment's, and so are those of files that nobody can change now. Others must be
    // looked at, which needs a lock for a moment.
    let is_one_moment = matches!(snapshots.as_slice(), [Some(_)]) || keeps_out(first)?;
    Ok(is_one_moment || version()? == before)
}

/// Whether a connection sees a state already, or there is none to be asked for.
fn is_seen(connection: &Connection, database: &str, wanted: Option<&Snapshot>) -> bool {
    wanted.is_none_or(|wanted| {
        Snapshot::new(connection, database).is_some_and(|seen| seen.is_same(wanted))
    })
}

/// Lets a connection begin anew, with the states that another one sees.
fn follow(
    connection: &Connection,
    databases: &[String],
    snapshots: &[Option<Snapshot>],
) -> rusqlite::Result<()> {
    commit(connection)?;
    connection.execute_batch("BEGIN")?;
    for (database, snapshot) in databases.iter().zip(snapshots) {
        match snapshot {
            Some(snapshot) => snapshot.open(connection, database)?,
            None => {
                pragma(connection, slice::from_ref(database), "schema_version")?;
            }
        }
    }
    Ok(())
}

/// Whether a connection that reads keeps writers out of all its files: none of them is in WAL mode.
pub(crate) fn keeps_out(connection: &Connection) -> rusqlite::Result<bool> {
    for database in databases(connection)? {
        let sql = format!("PRAGMA {}.journal_mode", quoted(&database));
        let mode: String = connection.query_row(&sql, [], |row| row.get(0))?;
        if mode.eq_ignore_ascii_case("wal") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits, unless the work is to stop.
fn paused(time: Duration, stop: &Stop) -> Result<()> {
    let until = Instant::now() + time;
    while let left = until.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        stop.check()?;
        thread::sleep(POLL.min(left));
    }
    Ok(())
}

/// Whether another connection is in the way: it holds a lock, has changed the log again and again while we looked, or has
/// just moved a state from the log to the file.
fn is_transient(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, FileLockingProtocolFailed};
    error.sqlite_error().is_some_and(|failure| {
        matches!(failure.code, DatabaseBusy | FileLockingProtocolFailed)
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

    /// Whether two states of one file are the same.
    fn is_same(&self, other: &Self) -> bool {
        // SAFETY: both live until the call returns, and it changes neither.
        unsafe { ffi::sqlite3_snapshot_cmp(self.0.as_ptr(), other.0.as_ptr()) == 0 }
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
    let code = error.sqlite_error().map(|failure| failure.extended_code);
    Error::Query {
        message: error.to_string(),
        code: code.map(code_name),
        partition: None,
        is_transient: code.is_some_and(passes),
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
