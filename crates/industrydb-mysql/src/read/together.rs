//! Begins several sessions that see one state of the database.
//!
//! A session of its own, the guard, first keeps the definitions of all tables as they are. Then each
//! reading session takes a snapshot, and itself keeps the definitions until it ends. The snapshots
//! are equal if the server tells that they belong to one place of its binlog, or if the guard also
//! keeps everybody from writing into the tables meanwhile.

use industrydb_core::{Error, Result, Stop};

use crate::config::options::Options;
use crate::encode::parameters::Parameter;
use crate::read::describe::with_values;
use crate::read::query::reject_changed;
use crate::read::samples::texts;
use crate::session::connect::Session;
use crate::session::tables::{Tables, tables};
use crate::sql::{control, derived};
use crate::types::DescribedColumn;
use crate::wire::errors::{
    LOCK_DEADLOCK, LOCK_WAIT_TIMEOUT, NO_EXPLAIN, PARSE_ERROR, TABLE_DEF_CHANGED, number,
};

/// How often the sessions are begun if a lock is not free.
const ATTEMPTS: usize = 6;

/// How often the snapshots are taken until they belong to one place of the binlog.
const SNAPSHOTS: usize = 10;

/// Longest wait for a table's definition, in seconds: an ALTER TABLE that waits for the guard lets
/// nobody else pass.
const DEFINITION_WAIT_S: u32 = 1;

/// Longest wait for the transactions that have written into the tables, in seconds.
const LOCK_WAIT_S: u32 = 5;

/// Advice in errors about snapshots.
const WITHOUT: &str = "snapshot=False reads without one state of the database for all partitions";

/// What sessions are begun for.
pub(crate) struct Group<'a> {
    pub(crate) options: &'a Options,
    pub(crate) setup: &'a [String],
    pub(crate) queries: &'a [String],
    pub(crate) parameters: &'a [Parameter],
    /// Columns of each query, as they were described.
    pub(crate) described: &'a [Vec<DescribedColumn>],
}

impl Group<'_> {
    /// Opens up to `count` sessions, `first` among them, that see one state; `None` if the columns
    /// of a query have changed since they were described.
    pub(crate) fn begin(
        &self,
        first: Session,
        count: usize,
        stop: &Stop,
    ) -> Result<Option<Vec<Session>>> {
        let mut sessions = vec![first];
        while sessions.len() < count {
            sessions.push(self.open(stop)?);
        }
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            stop.check()?;
            match self.attempt(&mut sessions, stop) {
                Ok(is_unchanged) => return Ok(is_unchanged.then_some(sessions)),
                Err(error) if is_worth_another(&error) => {
                    log::debug!("beginning the sessions again: {error}");
                    for session in &mut sessions {
                        session.run(control::ROLLBACK, stop)?;
                    }
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let refused = refused.unwrap_or_else(|| Error::Internal("no attempt".to_owned()));
        Err(refused.context(&format!("a table of the query stays locked; {WITHOUT}")))
    }

    fn open(&self, stop: &Stop) -> Result<Session> {
        Session::open_reading(self.options, self.setup, stop)
    }

    /// Returns whether the columns of the queries are those that were described.
    ///
    /// Nothing is asked while others wait for a table's definition that the guard holds: they let
    /// nobody else pass, until the guard ends.
    fn attempt(&self, sessions: &mut [Session], stop: &Stop) -> Result<bool> {
        let [first, ..] = sessions else {
            return Ok(true);
        };
        let tables = tables(first, self.queries, stop)?;
        let is_group = sessions.len() > 1;
        let has_places = is_group && tells_places(sessions, stop)?;
        for session in sessions.iter_mut() {
            session.run(&control::lock_wait(DEFINITION_WAIT_S), stop)?;
        }
        let mut guard = if is_group && !has_places {
            self.lock(&tables, stop)?
        } else {
            self.guard(&tables, stop)?
        };
        reject_other_servers(sessions, &guard)?;
        let is_begun = has_places && at_one_place(sessions, stop)?;
        if has_places && !is_begun {
            drop(guard);
            guard = self.lock(&tables, stop)?;
            reject_other_servers(sessions, &guard)?;
        }
        if !is_begun {
            begin_each(sessions, stop)?;
        }
        for session in sessions.iter_mut() {
            hold(session, &tables, stop)?;
        }
        drop(guard);
        let [first, ..] = sessions else {
            return Ok(true);
        };
        if !self.are_all(&tables, first, stop)? {
            return Err(renamed());
        }
        for (query, described) in self.queries.iter().zip(self.described) {
            let columns = first.prepare_kept(query, stop)?.columns;
            let columns = with_values(first, query, columns, self.parameters, stop)?;
            if reject_changed(described, &columns).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether these are all tables of the queries. A table that is being renamed is not
    /// among those of the server, so that it may have been missed, and is not kept as it is.
    ///
    /// A plan keeps the definitions of all tables of its query, which are then among the server's.
    fn are_all(&self, tables: &Tables, session: &mut Session, stop: &Stop) -> Result<bool> {
        for query in self.queries {
            let query = derived::nested(query, session.mode.lexicon());
            match texts(session, &derived::explain(&query), self.parameters, stop) {
                // A statement without a plan, such as SHOW, reads no tables of the user's.
                Err(error) if number(&error) == Some(PARSE_ERROR) => {}
                Err(error) if number(&error) == Some(NO_EXPLAIN) => {
                    texts(session, &derived::none(&query), self.parameters, stop)?;
                }
                planned => drop(planned?),
            }
        }
        Ok(self::tables(session, self.queries, stop)? == *tables)
    }

    /// Opens a session that keeps the tables' definitions as they are.
    fn guard(&self, tables: &Tables, stop: &Stop) -> Result<Session> {
        let mut session = self.open(stop)?;
        session.run(&control::lock_wait(DEFINITION_WAIT_S), stop)?;
        session.run(control::BEGIN, stop)?;
        hold(&mut session, tables, stop)?;
        Ok(session)
    }

    /// Opens a session that keeps everybody from writing into the tables.
    fn lock(&self, tables: &Tables, stop: &Stop) -> Result<Session> {
        if tables.definitions.has_functions {
            return Err(Error::configuration(format!(
                "the query calls a stored function, which may read tables that are not locked while the partitions' \
                 snapshots are taken, and the server has no binlog that tells whether they are equal; {WITHOUT}"
            )));
        }
        let mut session = self.open(stop)?;
        session.run(&control::lock_wait(LOCK_WAIT_S), stop)?;
        // A view's own tables are locked with it.
        let locked = hold(&mut session, tables, stop).and_then(|names| {
            if names.is_empty() {
                return Ok(());
            }
            session.run(&control::lock(&names), stop).map(drop)
        });
        match locked {
            Ok(()) => Ok(session),
            Err(error) if is_worth_another(&error) => Err(error),
            Err(error) => Err(error.context(&format!(
                "the tables cannot be locked while the partitions' snapshots are taken, and the server has no binlog \
                 that tells whether they are equal; {WITHOUT}"
            ))),
        }
    }
}

/// Makes sure that the sessions have reached one server: no lock and no place of another one says
/// anything about their snapshots.
fn reject_other_servers(sessions: &[Session], guard: &Session) -> Result<()> {
    let mut others = sessions.iter();
    match others.find(|session| session.server != guard.server) {
        None => Ok(()),
        Some(other) => Err(Error::configuration(format!(
            "sessions of this read have reached different servers, {:?} and {:?}, which have no state in common: name \
             one of them in the URI; {WITHOUT}",
            guard.server, other.server
        ))),
    }
}

/// Returns whether a lock was waited for too long, or met another session's in a deadlock, or a
/// table has changed since a snapshot.
fn is_worth_another(error: &Error) -> bool {
    matches!(
        number(error),
        Some(LOCK_WAIT_TIMEOUT | LOCK_DEADLOCK | TABLE_DEF_CHANGED)
    )
}

fn renamed() -> Error {
    Error::Query {
        message: "a table of the query was renamed while the sessions began; read again".to_owned(),
        code: Some(TABLE_DEF_CHANGED.to_string()),
        partition: None,
        is_transient: true,
    }
}

/// Takes a snapshot in each session.
fn begin_each(sessions: &mut [Session], stop: &Stop) -> Result<()> {
    for session in sessions {
        session.run(control::BEGIN_SNAPSHOT, stop)?;
    }
    Ok(())
}

/// Keeps the tables' definitions as they are until the end of the session's transaction, and returns
/// the tables, without those that the user may not read: the query does not read these either, but
/// has something else of their name, or a view of them.
fn hold(session: &mut Session, tables: &Tables, stop: &Stop) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for table in &tables.names {
        match session.run(&control::hold(table), stop) {
            Err(error) if is_not_allowed(&error) => {}
            other => {
                other?;
                found.push(table.clone());
            }
        }
    }
    Ok(found)
}

/// Returns whether a table may not be read, or is a view that is broken.
fn is_not_allowed(error: &Error) -> bool {
    matches!(number(error), Some(1142 | 1143 | 1356))
}

/// Returns whether the server tells to which place of its binlog a snapshot belongs.
fn tells_places(sessions: &mut [Session], stop: &Stop) -> Result<bool> {
    let Some(session) = sessions.first_mut() else {
        return Ok(false);
    };
    let has_binlog = session.rows(control::LOG_BIN, stop)?;
    let has_binlog = has_binlog.into_iter().flatten().flatten().next();
    Ok(has_binlog.as_deref() == Some("1") && !session.rows(control::POSITION, stop)?.is_empty())
}

/// Takes a snapshot in each session until all belong to one place of the binlog; returns `false` if
/// they never do.
fn at_one_place(sessions: &mut [Session], stop: &Stop) -> Result<bool> {
    for _ in 0..SNAPSHOTS {
        begin_each(sessions, stop)?;
        let mut places = Vec::new();
        for session in sessions.iter_mut() {
            places.push(place(session, stop)?);
        }
        let Some(Some(first)) = places.first() else {
            break;
        };
        if places.iter().all(|place| place.as_ref() == Some(first)) {
            return Ok(true);
        }
    }
    for session in sessions.iter_mut() {
        session.run(control::ROLLBACK, stop)?;
    }
    Ok(false)
}

/// Returns the file and position of the binlog to which a session's snapshot belongs; `None` if there
/// is none.
fn place(session: &mut Session, stop: &Stop) -> Result<Option<(String, String)>> {
    let rows = session.rows(control::POSITION, stop)?;
    let value = |name: &str| {
        let row = rows
            .iter()
            .find(|row| matches!(&row[..], [Some(other), _] if other.eq_ignore_ascii_case(name)));
        row.and_then(|row| row.get(1).cloned().flatten())
    };
    let file = value("binlog_snapshot_file").filter(|file| !file.is_empty());
    Ok(file.zip(value("binlog_snapshot_position")))
}
