//! Begins several sessions with the same snapshot: all hold the locks of the whole query before a
//! row is read.
//!
//! While one session holds a lock, no other session waits for one without a limit. Otherwise, a
//! statement that alters a table could wait for the first session, and a second session for that
//! statement. The server would see no deadlock, since the first session waits for nothing in the
//! server. So all sessions wait only for a short time, and release everything if that is too short.

use std::mem;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use industrydb_core::retry::pause;
use industrydb_core::{Error, Result, Stop};

use crate::read::group::{
    Group, Held, LOCK_NOT_AVAILABLE, Outcome, again, is_waiting, lockable, other_relations,
    panicked,
};
use crate::session::connect::Session;
use crate::session::run::TextRows;
use crate::sql::control;
use crate::sql::moment::{Moment, Wait};
use crate::wire::socket::is_late;

/// Largest number of attempts to hold all locks at the same time, and the time limit for all of
/// them.
const ATTEMPTS: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a session that has logged in may wait for an answer, beyond the time that the first
/// session's answer took. After that, a pooler is assumed to have no connection for it.
const POOLER_PATIENCE: Duration = Duration::from_secs(1);

/// How long sessions wait together for the same locks.
const QUEUE_PATIENCE: Duration = Duration::from_secs(1);

/// Sessions with the same snapshot and the same locks.
pub(crate) struct Together {
    pub(crate) sessions: Vec<Session>,
    pub(crate) held: Held,
}

impl Group<'_> {
    /// Begins with this number of sessions, the first one logged in already; fewer if a pooler has
    /// no more. Returns `None` if the columns of a query are no longer those that were described.
    pub(crate) fn begin(
        &self,
        mut first: Session,
        sessions: usize,
        stop: &Stop,
    ) -> Result<Option<Together>> {
        first.roll_back(stop)?;
        let mut others = self.open(sessions.saturating_sub(1), stop)?;
        let started = Instant::now();
        let (mut attempt, mut tables) = (0, Vec::new());
        loop {
            attempt += 1;
            let begun = if let Some(held) = &self.start.held {
                self.attempt_held(held, &mut first, &mut others, stop)?
            } else if tables.is_empty() {
                self.attempt(&mut first, &mut others, &mut tables, stop)?
            } else {
                self.attempt_in_queue(&mut first, &mut others, &tables, stop)?
            };
            let error = match begun {
                Outcome::Begun(held) => {
                    others.push(first);
                    let sessions = others;
                    return Ok(Some(Together { sessions, held }));
                }
                Outcome::Changed => return Ok(None),
                Outcome::Again(error) => error,
            };
            if !is_waiting(&error) {
                tables.clear(); // they may be gone, or the session may not lock them
            }
            log::debug!("attempt {attempt} to lock what is read: {error}");
            for session in others.iter_mut().chain([&mut first]) {
                session.roll_back(stop)?;
            }
            if attempt == ATTEMPTS || started.elapsed() >= PATIENCE {
                return Err(self.given_up(&mut first, &error, attempt, stop));
            }
            if attempt > 1 && is_waiting(&error) {
                let holders = holders(&mut first, stop)?;
                stop.waits_for(format!(
                    "the sessions of the read wait for locks; in the way: {holders}"
                ));
            }
            pause(Duration::from_millis(20) * attempt, stop)?;
        }
    }

    /// Logs in with this number of sessions, at the same time.
    fn open(&self, sessions: usize, stop: &Stop) -> Result<Vec<Session>> {
        let opened: Vec<Result<Session>> = thread::scope(|scope| {
            let open = || {
                let deadline = Instant::now() + self.options.connect_timeout + POOLER_PATIENCE;
                Session::open_before(self.options, self.start, Some(deadline), stop)
            };
            let threads: Vec<_> = (0..sessions).map(|_| scope.spawn(open)).collect();
            let joined = threads.into_iter().map(ScopedJoinHandle::join);
            joined
                .map(|opened| opened.unwrap_or_else(|_| Err(panicked())))
                .collect()
        });
        let is_late = |opened: &Result<Session>| opened.as_ref().err().is_some_and(is_late);
        opened
            .into_iter()
            .filter(|opened| !is_late(opened))
            .collect::<Result<_>>()
            .map_err(|error| match error {
                Error::Connection {
                    message,
                    code,
                    is_transient,
                } if code.is_some() => Error::Connection {
                    message: format!(
                        "{message}\nThe read wants {} sessions: a smaller max_connections needs fewer",
                        sessions + 1
                    ),
                    code,
                    is_transient,
                },
                other => other,
            })
    }

    /// Lets the first session lock what the queries read, and the others import its snapshot. If
    /// other sessions are in the way, `tables` becomes the list of tables that can be locked by
    /// name.
    fn attempt(
        &self,
        first: &mut Session,
        others: &mut Vec<Session>,
        tables: &mut Vec<String>,
        stop: &Stop,
    ) -> Result<Outcome> {
        if others.is_empty() {
            return self.alone(first, tables, stop);
        }
        first.begin(self.start, Moment::Each, Wait::Long, stop)?;
        let started = Instant::now();
        let held = match self.lock(first, true, stop) {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(Outcome::Changed),
            Err(error) => return again(error),
        };
        let snapshot = self.export(first, stop)?;
        let deadline = Instant::now() + POOLER_PATIENCE + 4 * started.elapsed();
        let begin = |session: &Session| {
            let moment = Moment::Of(&snapshot);
            control::begin(moment, Wait::Short, session.version())
        };
        if let Some(error) = self.join(first, others, &begin, &held.locked, deadline, stop)? {
            *tables = lockable(first, &held.locked, stop)?;
            return Ok(Outcome::Again(error));
        }
        let Some(second) = others.first_mut() else {
            first.roll_back(stop)?;
            return self.alone(first, tables, stop);
        };
        // The first session has a snapshot for each statement; it now imports the others' snapshot.
        let snapshot = self.export(second, stop)?;
        first.roll_back(stop)?;
        first.wire.deadline = Some(deadline.max(Instant::now() + POOLER_PATIENCE));
        let begin = control::begin(Moment::Of(&snapshot), Wait::Short, first.version());
        let joined = self.import(first, &begin, stop);
        first.wire.deadline = None;
        match joined {
            Ok(own) if own == held.locked.relations => Ok(Outcome::Begun(held)),
            Ok(_) => Ok(Outcome::Again(other_relations())),
            // The pooler has given the first session's connection to another client: the others
            // read without it.
            Err(error) if is_late(&error) => {
                mem::replace(first, others.swap_remove(0)).abandon();
                Ok(Outcome::Begun(held))
            }
            Err(error) => again(error),
        }
    }

    /// Lets all sessions wait for the tables' locks at the same time, in one queue, ahead of later
    /// requests. Then they import the snapshot of the first session, in which the locked relations
    /// must be unchanged.
    fn attempt_in_queue(
        &self,
        first: &mut Session,
        others: &mut Vec<Session>,
        tables: &[String],
        stop: &Stop,
    ) -> Result<Outcome> {
        let sql = control::begin(Moment::First, Wait::Together, first.version());
        let sql = format!("{sql}; {}", control::lock(tables));
        let deadline = Instant::now() + POOLER_PATIENCE + QUEUE_PATIENCE;
        let queue = |session: &mut Session| {
            session.wire.deadline = Some(deadline);
            let queued = session.script(&sql, stop);
            session.wire.deadline = None;
            queued
        };
        let (own, queued): (Result<TextRows>, Vec<Result<TextRows>>) = thread::scope(|scope| {
            let threads: Vec<_> = others
                .iter_mut()
                .map(|session| scope.spawn(|| queue(session)))
                .collect();
            let own = queue(first);
            let joined = threads.into_iter().map(ScopedJoinHandle::join);
            let joined = joined.map(|queued| queued.unwrap_or_else(|_| Err(panicked())));
            (own, joined.collect())
        });
        let mut in_the_way = own.err();
        for (session, queued) in mem::take(others).into_iter().zip(queued) {
            match queued {
                Err(error) if is_late(&error) => session.abandon(),
                queued => {
                    in_the_way = in_the_way.or(queued.err());
                    others.push(session);
                }
            }
        }
        match in_the_way {
            None => {}
            Some(error @ Error::Query { .. }) => return Ok(Outcome::Again(error)),
            Some(error) => return Err(error),
        }
        if let Err(error) = first.enter(&control::go_on(None), Wait::Short, self.start, stop) {
            return again(error);
        }
        let held = match self.lock_and_look(first, &mut Vec::new(), stop)? {
            Outcome::Begun(held) => held,
            other => return Ok(other),
        };
        let snapshot = self.export(first, stop)?;
        let begin = |_: &Session| control::go_on(Some(&snapshot));
        let deadline = Instant::now() + POOLER_PATIENCE;
        if let Some(error) = self.join(first, others, &begin, &held.locked, deadline, stop)? {
            return Ok(Outcome::Again(error));
        }
        first.script(control::LONGER_WAIT, stop)?;
        Ok(Outcome::Begun(held))
    }

    /// Begins with one session for several partitions. It cannot lock before it takes its snapshot,
    /// so the locked relations must be unchanged since then.
    fn alone(
        &self,
        session: &mut Session,
        tables: &mut Vec<String>,
        stop: &Stop,
    ) -> Result<Outcome> {
        session.begin(self.start, Moment::First, Wait::Long, stop)?;
        self.lock_and_look(session, tables, stop)
    }

    /// Returns the error after the last attempt has failed, which names the sessions in the way.
    fn given_up(&self, first: &mut Session, last: &Error, attempts: u32, stop: &Stop) -> Error {
        let holders = first
            .begin(self.start, Moment::Each, Wait::Short, stop)
            .and_then(|()| holders(first, stop))
            .unwrap_or_default();
        let holders = if holders.is_empty() {
            String::new()
        } else {
            format!("; in the way: {holders}")
        };
        Error::Query {
            message: format!(
                "the sessions of the read did not come to hold all locks at the same time in {attempts} \
                 attempts{holders}; the last one: {last}; read again later, or with max_connections=1"
            ),
            code: Some(LOCK_NOT_AVAILABLE.to_owned()),
            partition: None,
            is_transient: true,
        }
    }
}

/// Describes the sessions that hold exclusive locks, or wait for them.
fn holders(session: &mut Session, stop: &Stop) -> Result<String> {
    let rows = session.rows(control::EXCLUSIVE, &[], stop)?;
    let shown = rows.into_iter().map(|row| {
        let words: Vec<String> = row.into_iter().flatten().collect();
        words.join(" ")
    });
    Ok(shown.collect::<Vec<_>>().join(", "))
}
