//! Begins transactions on several connections that all see one state of the file.

use std::time::{Duration, Instant};
use std::{slice, thread};

use industrydb_core::{Error, Result, Stop};
use rusqlite::{Connection, ErrorCode, ffi};

use super::transaction::{begin, commit, databases, pragma, refresh};
use crate::config::options::Options;
use crate::ffi::descriptors::files;
use crate::ffi::errors::failed;
use crate::ffi::file::has_moved;
use crate::ffi::snapshot::{self, Snapshot};
use crate::ffi::watch::busy_timeout;
use crate::sql::dialect::quoted;

/// How long [`begin_together`] waits for one lock. The wait is short because a writer may hold the
/// lock while that writer waits for one of these connections.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// Pause after the first attempt; the pause doubles after each further attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Longest pause between two attempts. A waiting writer looks at least ten times a second whether
/// the connections have released the file.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// Time between two checks of the stop flag during a pause.
const POLL: Duration = Duration::from_millis(20);

/// Begins new transactions on `count` connections, which all see the state that the first one sees.
/// Opens the connections that are missing.
///
/// A file in WAL mode keeps the first connection's state as a snapshot: if a commit came in
/// between, the other connections open that snapshot. In the other journal modes, a connection in a
/// transaction keeps writers out, and a waiting writer keeps further readers out. So all
/// connections release the file and begin with short lock timeouts; if one cannot begin, all
/// release the file again, so that the writer can go on. Once all have begun, they see one state,
/// since no commit can come in between. After twice the connection's lock timeout, the function
/// gives up. With a WAL file that nobody has written to yet, or with several files, all connections
/// begin again until no commit came in between.
///
/// Returns whether all connections have the same file open: another one may have taken the path
/// while they were opened.
pub(crate) fn begin_together(
    options: &Options,
    setup: &[String],
    connections: &mut Vec<Connection>,
    count: usize,
    stop: &Stop,
) -> Result<bool> {
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
    // Outside a transaction, `PRAGMA data_version` changes with every commit of another connection.
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
                wait(long_wait)?;
                return Ok(have_same_files(connections, &databases));
            }
            Err(e) if !is_transient(&e) => return Err(failed(&e)),
            // Release the file for a writer that waits for it.
            Ok(false) | Err(_) => let_go(connections)?,
        }
        paused(pause, stop)?;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    let remedy = if snapshot::FUNCTIONS.is_some() {
        "give the file PRAGMA journal_mode = WAL, in which a writer and readers do not wait for each other"
    } else {
        "build SQLite with SQLITE_ENABLE_SNAPSHOT, with which connections share a state of a file in WAL mode"
    };
    Err(Error::Query {
        message: format!(
            "{count} connections did not come to see one state of the file within {} s and {attempts} attempts, \
             since others write to it all the time: read it in one partition, or when less is written, or with a \
             longer PRAGMA busy_timeout, which pre_execution_query can set, or {remedy}",
            patience.as_secs_f32()
        ),
        code: Some("SQLITE_BUSY".to_owned()),
        partition: None,
        is_transient: true,
    })
}

/// Returns whether all connections have the same files open. SQLite follows symbolic links before it
/// opens a file, so that the names tell if a link was switched in between.
fn have_same_files(connections: &[Connection], databases: &[String]) -> bool {
    let has_moved = |connection| {
        let mut databases = databases.iter();
        databases.any(|database| has_moved(connection, database))
    };
    let mut names = connections.iter().map(files);
    let first = names.next();
    names.all(|names| Some(names) == first) && !connections.iter().any(has_moved)
}

/// Makes one attempt of [`begin_together`], and returns whether all connections see one state.
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
        // Nearly always, no commit came in between and the state is the same. Opening a snapshot
        // waits for a running checkpoint, which may itself wait for the first connection; so a
        // snapshot is opened only if the states differ.
        begin(connection, databases)?;
        let mut states = databases.iter().zip(&snapshots);
        if states.any(|(database, wanted)| !is_seen(connection, database, wanted.as_ref())) {
            follow(connection, databases, &snapshots)?;
        }
    }
    for connection in connections {
        refresh(connection, databases)?;
    }
    // A snapshot of a single file is one state, and so are files that nobody can change now.
    // Otherwise `data_version` is compared, which needs a lock for a moment.
    let is_one_moment = matches!(snapshots.as_slice(), [Some(_)]) || keeps_out(first)?;
    Ok(is_one_moment || version()? == before)
}

/// Returns whether a connection already sees the wanted snapshot, or no snapshot is wanted.
fn is_seen(connection: &Connection, database: &str, wanted: Option<&Snapshot>) -> bool {
    wanted.is_none_or(|wanted| {
        Snapshot::new(connection, database).is_some_and(|seen| seen.is_same(wanted))
    })
}

/// Begins a new transaction on a connection with the snapshots that another connection sees.
pub(super) fn follow(
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

/// Returns whether a connection that reads keeps writers out of all its files: none of them is in
/// WAL mode.
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

/// Sleeps for `time`, or returns an error once the work is to stop.
pub(super) fn paused(time: Duration, stop: &Stop) -> Result<()> {
    let until = Instant::now() + time;
    while let left = until.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        stop.check()?;
        thread::sleep(POLL.min(left));
    }
    Ok(())
}

/// Returns whether another connection caused the error: it holds a lock, changed the log again and
/// again while this connection looked, or has just checkpointed the snapshot.
fn is_transient(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, FileLockingProtocolFailed};
    error.sqlite_error().is_some_and(|failure| {
        matches!(failure.code, DatabaseBusy | FileLockingProtocolFailed)
            || failure.extended_code == ffi::SQLITE_ERROR_SNAPSHOT
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::folder::Folder;

    /// Sessions whose files have the same tables, as copies have, or one file behind a link that was
    /// switched.
    #[test]
    fn sessions_with_other_files_do_not_read_together() {
        let (one, other) = (Folder::new("together-one"), Folder::new("together-other"));
        let stop = Stop::default();
        for folder in [&one, &other] {
            let writer = folder.connect();
            writer.execute_batch("CREATE TABLE t (x)").expect("valid");
        }
        let together = |mut connections: Vec<Connection>| {
            begin_together(&one.options(), &[], &mut connections, 3, &stop).expect("begun")
        };
        let open = |folder: &Folder| folder.options().open(&[], &stop).expect("opened");
        assert!(together(vec![]));
        assert!(together(vec![open(&one)]));
        assert!(!together(vec![open(&other)]));
        assert!(!together(vec![open(&one), open(&other)]));
        let attach = format!("ATTACH '{}' AS a", other.options().path.display());
        let attached = one.options().open(&[attach], &stop).expect("attached");
        assert!(!together(vec![attached]));
    }
}
