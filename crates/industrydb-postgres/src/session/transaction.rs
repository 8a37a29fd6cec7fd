//! Begins sessions: runs the caller's statements, and begins the transaction of a read.

use industrydb_core::tokens::statements;
use industrydb_core::{Error, Result, Stop};

use crate::config::options::Options;
use crate::session::connect::{SETUP, Session};
use crate::session::held::no_longer_held;
use crate::session::start::{Purpose, Start};
use crate::sql::control;
use crate::sql::dialect::LEXICON;
use crate::sql::moment::{Moment, Wait};
use crate::wire::errors::without_snapshot;

impl Session {
    /// Opens the first session of a read, and finds out whether the caller's statements can run in
    /// the transaction.
    pub(crate) fn open_first(options: &Options, start: &mut Start, stop: &Stop) -> Result<Self> {
        let mut session = Self::open(options, start, stop)?;
        match session.try_setup(start, stop) {
            Err(error) if !start.is_outside && is_refused_inside(&error) => {
                log::debug!("running {SETUP} in front of the transaction: {error}");
                if session.in_transaction {
                    session.script(control::ROLLBACK, stop)?;
                }
                start.is_outside = true;
                session.prepare(start, stop)?;
                session.try_setup(start, stop)?;
            }
            result => result?,
        }
        Ok(session)
    }

    fn try_setup(&mut self, start: &Start, stop: &Stop) -> Result<()> {
        match start.purpose {
            Purpose::Transaction => self.begin(start, start.moment(), start.wait(), stop),
            Purpose::Statements if !start.inside().is_empty() => {
                self.start_together(&[], stop)?;
                self.collect(stop).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Runs the statements that come before all transactions, and sets [`Session::prefix`], the
    /// statements that are sent before all others.
    pub(crate) fn prepare(&mut self, start: &Start, stop: &Stop) -> Result<()> {
        if start.is_outside {
            for sql in &start.setup {
                self.script(sql, stop).map_err(|e| e.context(SETUP))?;
                if self.in_transaction {
                    return Err(Error::configuration(
                        "pre_execution_query leaves a transaction open, in which the read cannot begin its own",
                    ));
                }
            }
        }
        if start.purpose == Purpose::Statements {
            let inside = start.inside().iter();
            let inside = inside.flat_map(|sql| statements(sql, LEXICON));
            let timeout = (self.version() >= 17).then_some(control::NO_TIMEOUT);
            let prefix = [control::ALONE].into_iter().chain(timeout).chain(inside);
            let prefix = prefix.chain([control::ALONE_SETTINGS]);
            self.prefix = prefix.map(str::to_owned).collect();
        }
        Ok(())
    }

    /// Limits the waits for locks of statements that are each a transaction of their own.
    pub(crate) fn bound_waits(&mut self) {
        self.prefix.push(control::LONGER_WAIT.to_owned());
    }

    /// Begins a read-only transaction, and runs the caller's statements in it.
    pub(crate) fn begin(
        &mut self,
        start: &Start,
        moment: Moment,
        wait: Wait,
        stop: &Stop,
    ) -> Result<()> {
        let begin = control::begin(moment, wait, self.version());
        self.enter(&begin, wait, start, stop)?;
        if start.inside().is_empty() {
            return Ok(());
        }
        // The caller's statements may have set another isolation level, in which snapshots are
        // taken at other times.
        let found = self.script(control::LEVEL, stop)?;
        let found = found.into_iter().flatten().flatten().next();
        match found.as_deref() {
            Some(found) if found != control::level(moment) => Err(Error::configuration(format!(
                "pre_execution_query sets the transaction's isolation to {found}: a read has its own"
            ))),
            _ => Ok(()),
        }
    }

    /// Runs the statements that begin a transaction, then the caller's statements and the settings
    /// for reading. The lock timeout is then set once more, since the caller's statements may have
    /// changed it.
    pub(crate) fn enter(
        &mut self,
        begin: &str,
        wait: Wait,
        start: &Start,
        stop: &Stop,
    ) -> Result<()> {
        let no_snapshot = |error| match start.held {
            Some(_) => no_longer_held(error),
            None => without_snapshot(error),
        };
        if start.inside().is_empty() {
            let sql = format!("{begin}; {}", control::SETTINGS);
            self.script(&sql, stop).map_err(no_snapshot)?;
            return Ok(());
        }
        self.script(begin, stop).map_err(no_snapshot)?;
        for sql in start.inside() {
            self.script(sql, stop).map_err(|e| e.context(SETUP))?;
        }
        if !self.in_transaction {
            return Err(Error::configuration(
                "pre_execution_query has ended the read's transaction",
            ));
        }
        let bound = control::lock_timeout(wait).into_iter();
        let settings: Vec<_> = bound.chain([control::SETTINGS.to_owned()]).collect();
        self.script(&settings.join("; "), stop).map(drop)
    }

    /// Ends the transaction, if there is one, and all locks and settings with it.
    pub(crate) fn roll_back(&mut self, stop: &Stop) -> Result<()> {
        if self.in_transaction {
            self.script(control::ROLLBACK, stop)?;
        }
        Ok(())
    }
}

/// Returns whether the server refuses a statement of the caller only because of our transaction.
fn is_refused_inside(error: &Error) -> bool {
    const READ_ONLY_SQL_TRANSACTION: &str = "25006";
    const ACTIVE_SQL_TRANSACTION: &str = "25001";
    matches!(
        error.code(),
        Some(READ_ONLY_SQL_TRANSACTION | ACTIVE_SQL_TRANSACTION)
    )
}
