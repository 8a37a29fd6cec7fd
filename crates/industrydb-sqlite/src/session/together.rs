//! Lets several connections begin with one state of the file.

use std::time::{Duration, Instant};
use std::{slice, thread};

use industrydb_core::{Error, Result, Stop};
use rusqlite::{Connection, ErrorCode, ffi};

use super::transaction::{begin, commit, databases, pragma, refresh};
use crate::config::options::Options;
use crate::ffi::errors::failed;
use crate::ffi::snapshot::Snapshot;
use crate::ffi::watch::busy_timeout;
use crate::sql::dialect::quoted;

/// How long [`begin_together`] waits for one lock: a writer may hold it, and itself wait for one of
/// us.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// The pause behind the first attempt, which doubles with each further one …
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// … up to this. A writer that waits looks at least ten times a second whether we have let go.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long a pause goes on before a look at whether the work is to stop.
const POLL: Duration = Duration::from_millis(20);

/// Lets connections begin anew, with the state that the first one sees, and opens those that are
/// missing.
///
/// A file in WAL mode keeps that state: the others begin too, and where somebody has committed in
/// between, they ask for it. In the other modes, a connection in a transaction keeps writers out,
/// and a writer that waits for it keeps further readers out: so all let go of the file, begin under
/// short waits, and where one cannot, let go again, for the writer to go on. All of them read one
/// state then, as no commit comes between. After twice the time that a connection waits for a lock,
/// they give up. In a WAL file that nobody has written to yet, or in several files, all begin again
/// until nobody has changed them meanwhile.
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
        // Nearly always, nobody has committed meanwhile, and the state is the same. To ask for that
        // state waits for whoever moves the log to the file, and who may himself wait for the first
        // connection.
        begin(connection, databases)?;
        let mut states = databases.iter().zip(&snapshots);
        if states.any(|(database, wanted)| !is_seen(connection, database, wanted.as_ref())) {
            follow(connection, databases, &snapshots)?;
        }
    }
    for connection in connections {
        refresh(connection, databases)?;
    }
    // One file's states are one moment's, and so are those of files that nobody can change now.
    // Others must be looked at, which needs a lock for a moment.
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

/// Whether another connection is in the way: it holds a lock, has changed the log again and again
/// while we looked, or has just moved a state from the log to the file.
fn is_transient(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, FileLockingProtocolFailed};
    error.sqlite_error().is_some_and(|failure| {
        matches!(failure.code, DatabaseBusy | FileLockingProtocolFailed)
            || failure.extended_code == ffi::SQLITE_ERROR_SNAPSHOT
    })
}
