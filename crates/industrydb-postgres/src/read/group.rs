//! The sessions of a read with one snapshot, and what each of them locks.

use std::mem;
use std::thread::{self};
use std::time::Instant;

use industrydb_core::{Error, Result, Stop};

use crate::config::options::Options;
use crate::read::locks;
use crate::read::locks::Locked;
use crate::session::connect::Session;
use crate::session::describe::description;
use crate::session::describe::reject_changed;
use crate::session::run::Step;
use crate::session::start::Start;
use crate::sql::control;
use crate::sql::moment::Wait;
use crate::types::DescribedColumn;
use crate::wire::Format;
use crate::wire::errors::{OBJECT_NOT_IN_PREREQUISITE_STATE, without_snapshot};
use crate::wire::socket::is_late;

pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
const DEADLOCK_DETECTED: &str = "40P01";
/// SQLSTATEs of a snapshot whose session is gone.
const NO_SNAPSHOT: [&str; 2] = ["22023", "42704"];

/// Number of queries of a list that are planned in advance, to lock what they read. The locks of
/// the other queries are checked after they have been read.
pub(crate) const PLANNED: usize = 64;

/// What all sessions with the same snapshot hold.
pub(crate) struct Held {
    pub(crate) locked: Locked,
    /// Columns of the queries that were planned, described under the locks.
    pub(crate) described: Vec<Vec<DescribedColumn>>,
}

/// The parts of a request that its sessions need to begin.
pub(crate) struct Group<'a> {
    pub(crate) options: &'a Options,
    pub(crate) start: &'a Start,
    pub(crate) queries: &'a [String],
    pub(crate) described: &'a [Vec<DescribedColumn>],
    pub(crate) parameters: &'a [Option<String>],
    /// Whether the server must read without parallel workers, whose locks are not the session's.
    pub(crate) is_serial: bool,
}

/// Outcome of an attempt to begin.
pub(super) enum Outcome {
    Begun(Held),
    /// Other sessions were in the way, so the attempt is repeated.
    Again(Error),
    /// The columns of a query are no longer those that were described.
    Changed,
}

impl Group<'_> {
    /// Locks all that the queries read, and checks that it has not changed since the session's
    /// snapshot.
    pub(super) fn lock_and_look(
        &self,
        session: &mut Session,
        tables: &mut Vec<String>,
        stop: &Stop,
    ) -> Result<Outcome> {
        let held = match self.lock(session, true, stop) {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(Outcome::Changed),
            Err(error) => return again(error),
        };
        match locks::check_unchanged(session, &held.locked, stop) {
            Ok(()) => Ok(Outcome::Begun(held)),
            Err(error) if is_waiting(&error) => {
                *tables = lockable(session, &held.locked, stop)?;
                Ok(Outcome::Again(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Locks all that the queries read. The first session (`describes`) also checks that their
    /// columns are still those that were described, and returns `None` if they are not.
    pub(super) fn lock(
        &self,
        session: &mut Session,
        describes: bool,
        stop: &Stop,
    ) -> Result<Option<Held>> {
        let plans: Vec<String> = self
            .queries
            .iter()
            .take(PLANNED)
            .map(|q| control::plan(q))
            .collect();
        let mut steps = Vec::new();
        if describes {
            let queries = self.queries.iter().take(PLANNED);
            steps.extend(queries.map(|query| Step::Describe(query)));
            session.may_wait_since = Some(Instant::now());
        }
        let plan = |sql| Step::Run(sql, self.parameters, Format::Text);
        steps.extend(plans.iter().map(|sql| plan(sql.as_str())));
        steps.push(Step::Run(control::LOCKED, &[], Format::Text));
        if !describes {
            steps.push(Step::Run(control::LONGER_WAIT, &[], Format::Text));
        }
        if self.is_serial {
            steps.push(Step::Run(control::SERIAL, &[], Format::Text));
        }
        session.start_together(&steps, stop)?;
        let (mut are_same, mut columns) = (true, Vec::new());
        if describes {
            for before in self.described.iter().take(PLANNED) {
                let found = description(session, stop)?.columns.unwrap_or_default();
                // Tables may have been replaced since; the new ones are read from now on.
                let before: Vec<_> = before.iter().map(DescribedColumn::of_any_table).collect();
                are_same &= reject_changed(&before, &found, &[]).is_ok();
                columns.push(found);
            }
        }
        for _ in &plans {
            session.answer(stop)?;
        }
        session.may_wait_since = None;
        let locked = Locked::new(session.answer(stop)?)?;
        session.collect(stop)?;
        let held = Held {
            locked,
            described: columns,
        };
        Ok(are_same.then_some(held))
    }

    /// Lets a session import a snapshot of another one, by the statements of `begin`, and lock what
    /// the queries read; returns the relations that it has locked.
    pub(super) fn import(
        &self,
        session: &mut Session,
        begin: &str,
        stop: &Stop,
    ) -> Result<Vec<u32>> {
        session.enter(begin, Wait::Short, self.start, stop)?;
        let held = self.lock(session, false, stop)?;
        Ok(held.map_or_else(Vec::new, |held| held.locked.relations))
    }

    /// Lets all sessions import the snapshot of the first one at the same time, by the statements
    /// of `begin`. Sessions that get no answer are left out; an error is returned if other sessions
    /// were in the way.
    pub(super) fn join(
        &self,
        first: &mut Session,
        sessions: &mut Vec<Session>,
        begin: &(impl Fn(&Session) -> String + Sync),
        locked: &Locked,
        deadline: Instant,
        stop: &Stop,
    ) -> Result<Option<Error>> {
        let wanted = sessions.len();
        let joined: Vec<(Session, Result<Vec<u32>>)> = thread::scope(|scope| {
            let join = |mut session: Session| {
                session.wire.deadline = Some(deadline);
                let begin = begin(&session);
                let own = self.import(&mut session, &begin, stop);
                session.wire.deadline = None;
                (session, own)
            };
            let threads: Vec<_> = mem::take(sessions)
                .into_iter()
                .map(|session| scope.spawn(move || join(session)))
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect()
        });
        if joined.len() < wanted {
            return Err(panicked());
        }
        let (mut in_the_way, mut failed) = (None, None);
        for (session, own) in joined {
            match own.map(|own| own == locked.relations) {
                Ok(true) => sessions.push(session),
                Ok(false) => {
                    in_the_way = Some(other_relations());
                    sessions.push(session);
                }
                Err(error) if is_late(&error) => session.abandon(),
                Err(error) => match again(error) {
                    Ok(Outcome::Again(error)) => {
                        in_the_way = Some(error);
                        sessions.push(session);
                    }
                    Ok(Outcome::Begun(_) | Outcome::Changed) => {}
                    Err(error) => failed = Some(failed.unwrap_or(error)),
                },
            }
        }
        if let Some(error) = failed {
            // The first session, which has exported the snapshot, may be gone: its error counts
            // then.
            first.script("", stop)?;
            return Err(error);
        }
        if sessions.len() < wanted {
            log::warn!(
                "{} of {} sessions got no answer: a pooler has no connections for them, or the server is \
                 slow. The read goes on with the others; with max_connections={} it wants no more",
                wanted - sessions.len(),
                wanted + 1,
                sessions.len() + 1
            );
        }
        Ok(in_the_way)
    }

    /// Exports a session's snapshot, for others to import as long as its transaction lasts.
    pub(super) fn export(&self, session: &mut Session, stop: &Stop) -> Result<String> {
        let exported = session.rows(control::EXPORT_SNAPSHOT, &[], stop);
        let mut values = exported
            .map_err(without_snapshot)?
            .into_iter()
            .flatten()
            .flatten();
        let (snapshot, has_temporary) = (values.next(), values.next());
        if self.start.has_setup() && has_temporary.as_deref() == Some("t") {
            return Err(Error::configuration(
                "pre_execution_query makes temporary tables, whose rows are in no snapshot that sessions \
                 share: pass snapshot=False, or read in one partition",
            ));
        }
        snapshot.ok_or_else(|| Error::connection("the server exports no snapshot"))
    }
}

/// Returns the names of the locked tables that the session may lock by name.
pub(super) fn lockable(session: &mut Session, locked: &Locked, stop: &Stop) -> Result<Vec<String>> {
    let rows = session.rows(&control::lockable(&locked.relations), &[], stop)?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Returns whether an error only means that other sessions were in the way of an attempt.
pub(super) fn is_waiting(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(LOCK_NOT_AVAILABLE | DEADLOCK_DETECTED | OBJECT_NOT_IN_PREREQUISITE_STATE)
    )
}

/// Returns the outcome of an attempt that has failed: another attempt if others were in the way, or
/// the error.
pub(super) fn again(mut error: Error) -> Result<Outcome> {
    match error.code() {
        Some(LOCK_NOT_AVAILABLE | DEADLOCK_DETECTED) => Ok(Outcome::Again(error)),
        Some(code) if NO_SNAPSHOT.contains(&code) => {
            // The session that exported the snapshot may have been ended: a repeated read exports
            // another one.
            if let Error::Query { is_transient, .. } = &mut error {
                *is_transient = true;
            }
            Err(without_snapshot(error))
        }
        _ => Err(error),
    }
}

pub(super) fn other_relations() -> Error {
    Error::Query {
        message: "the tables that the query reads were not the same in all sessions".to_owned(),
        code: Some(OBJECT_NOT_IN_PREREQUISITE_STATE.to_owned()),
        partition: None,
        is_transient: true,
    }
}

pub(super) fn panicked() -> Error {
    Error::Internal("a worker thread panicked".to_owned())
}
