//! Connection that a caller keeps, and its nested transactions.

use std::thread::ThreadId;
use std::{mem, process};

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::read::connection::{Answer, Connection};
use crate::read::meter::Meter;
use crate::read::output::Output;
use crate::read::request::Request;
use crate::schema::value::Parameters;
use crate::sql::lasting::{begins_another, may_last};
use crate::write::frame::{Frame, OnConflict};

/// Connection with the nested transactions that its caller has begun.
///
/// The outermost transaction is the database's own, and those within it are savepoints. A
/// connection that breaks is closed, and the error of every later call gives the reason.
pub struct KeptConnection {
    connection: Option<Box<dyn Connection>>,
    /// Read that has the session until its last row.
    loan: Option<Loan>,
    /// Number of open transactions, one within the other.
    depth: usize,
    /// Thread that has begun the transactions.
    owner: Option<ThreadId>,
    /// Reason why the connection is closed, as the end of a message.
    reason: String,
    /// Process that has opened the session.
    process: u32,
}

/// A read that has the session of a kept connection.
struct Loan {
    query: String,
    /// Ends the read.
    stop: Stop,
}

impl KeptConnection {
    /// Wraps a connection in which no transaction is open.
    pub fn new(connection: Box<dyn Connection>) -> Self {
        Self {
            connection: Some(connection),
            loan: None,
            depth: 0,
            owner: None,
            reason: String::new(),
            process: process::id(),
        }
    }

    /// Returns whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.connection.is_none() && self.loan.is_none()
    }

    /// Returns whether a read has the session.
    pub fn is_lent(&self) -> bool {
        self.loan.is_some()
    }

    /// Takes the session out for a read, which gives it back at its end. Meanwhile, all other work is
    /// refused.
    ///
    /// # Errors
    ///
    /// As for [`with`](KeptConnection::with).
    pub fn lend(&mut self, query: &str, stop: &Stop) -> Result<Self> {
        self.with(|_| Ok(()))?;
        self.loan = Some(Loan {
            query: query.to_owned(),
            stop: stop.clone(),
        });
        Ok(Self {
            connection: self.connection.take(),
            loan: None,
            depth: self.depth,
            owner: self.owner,
            reason: String::new(),
            process: self.process,
        })
    }

    /// Takes the session of a read back, or the reason why it is closed. Leaves it if this
    /// connection has been closed meanwhile.
    pub(super) fn give_back(&mut self, lent: &mut Self) {
        if self.loan.take().is_none() {
            return;
        }
        self.connection = lent.connection.take();
        if self.connection.is_none() {
            self.close(&mem::take(&mut lent.reason));
        }
    }

    /// Ends the read that has the session, and returns whether there is one: it gives the session
    /// back soon.
    pub fn stop_reader(&self) -> bool {
        self.loan.iter().for_each(|loan| loan.stop.set());
        self.is_lent()
    }

    /// Refuses work while a read has the session.
    fn reject_lent(&self) -> Result<()> {
        let Some(loan) = &self.loan else {
            return Ok(());
        };
        Err(Error::configuration(format!(
            "the connection is busy: a reader of batches has its session until its last row, with the query {:?}: \
             read it to the end, or close it",
            shortened(&loan.query)
        )))
    }

    /// Returns whether statements check their stop signal several times a second.
    pub fn checks_often(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|connection| connection.checks_often())
    }

    /// Runs `work` on the connection. An error that leaves the state of the connection unknown
    /// closes it.
    ///
    /// # Errors
    ///
    /// The error of `work`; [`Error::Closed`] if the connection is closed; [`Error::Configuration`]
    /// while a read has its session.
    pub fn with<T>(&mut self, work: impl FnOnce(&mut dyn Connection) -> Result<T>) -> Result<T> {
        self.reject_lent()?;
        let Some(connection) = &mut self.connection else {
            return Err(Error::Closed(self.reason.clone()));
        };
        let result = work(connection.as_mut());
        match &result {
            Err(Error::Connection { message, .. }) => {
                self.close(&format!(": it broke ({message})"));
            }
            Err(Error::Interrupted) => self.close(INTERRUPTED),
            Err(Error::Internal(_)) => self.close(""),
            _ => {}
        }
        result
    }

    /// Runs a statement that the caller gives.
    ///
    /// # Errors
    ///
    /// As for [`Connection::execute`]; [`Error::Query`] if the database has ended the transaction.
    pub fn execute(
        &mut self,
        statement: &str,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Answer> {
        let depth = self.depth;
        self.within(|connection| {
            let lexicon = connection.dialect().lexicon;
            if depth > 0 && begins_another(statement, lexicon) {
                return Err(Error::configuration(
                    "the statement would end the transaction of this block, or begin another one in its place: leave \
                     that to transaction()",
                ));
            }
            let answer = connection.execute(statement, parameters, stop);
            answer.map_err(|error| {
                if may_last(statement, lexicon, depth) {
                    error.of_lasting_work()
                } else {
                    error
                }
            })
        })
    }

    /// Reads all rows of the only query of a request.
    ///
    /// # Errors
    ///
    /// As for [`Connection::read`]; [`Error::Query`] if the database has ended the transaction.
    pub fn read(&mut self, request: &Request, stop: &Stop) -> Result<Answer> {
        self.within(|connection| {
            let mut fields = Vec::new();
            let chunk = Output::whole(&Meter::default(), |output| {
                let mut begin = |found: &[_]| {
                    fields = found.to_vec();
                    Ok(())
                };
                connection.read(request, &mut begin, output, stop)
            });
            if chunk.is_err() && !stop.is_set() {
                freed(connection)?; // an interrupted session is closed instead
            }
            Ok(Answer::Rows(fields, chunk?))
        })
    }

    /// Runs a part of a read that may be ended before its last row. The session stays usable after
    /// any error but a broken connection.
    ///
    /// # Errors
    ///
    /// The error of `work`, or as for [`read`](KeptConnection::read).
    pub(super) fn read_with<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Connection) -> Result<T>,
    ) -> Result<T> {
        self.within(|connection| match work(connection) {
            Err(error @ (Error::Connection { .. } | Error::Internal(_))) => Err(error),
            Err(error) => freed(connection).map(|()| Err(error)),
            done => Ok(done),
        })?
    }

    /// Adds the rows of a frame to a table.
    ///
    /// # Errors
    ///
    /// As for [`Connection::insert`]; [`Error::Query`] if the database has ended the transaction.
    pub fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        self.within(|connection| connection.insert(table, frame, on_conflict, stop))
    }

    /// Runs `work` on the connection. Refuses if a transaction was begun and the database has ended
    /// it.
    fn within<T>(&mut self, work: impl FnOnce(&mut dyn Connection) -> Result<T>) -> Result<T> {
        let depth = self.depth;
        self.with(|connection| {
            if depth > 0 && connection.in_transaction() == Some(false) {
                return Err(ended());
            }
            work(connection)
        })
    }

    /// Runs a statement without parameters, and drops its result.
    ///
    /// # Errors
    ///
    /// As for [`Connection::execute`].
    pub fn run(&mut self, statement: &str, stop: &Stop) -> Result<()> {
        self.with(|connection| connection.execute(statement, &Parameters::default(), stop))
            .map(drop)
    }

    /// Begins a transaction, or a savepoint within one; returns how many transactions are then
    /// open.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if another thread has begun the open transaction, or if a statement
    /// has begun one; [`Error::Query`] if the database has ended the enclosing transaction.
    pub fn begin(&mut self, owner: ThreadId, stop: &Stop) -> Result<usize> {
        let depth = self.depth;
        if depth > 0 && self.owner != Some(owner) {
            return Err(Error::configuration(
                "another thread is in a transaction of this connection: give each thread its own",
            ));
        }
        let statement = self.with(|connection| {
            let dialect = connection.dialect();
            match (depth, connection.in_transaction()) {
                (0, Some(true)) => Err(Error::configuration(
                    "a statement has begun a transaction that is still open: end it first",
                )),
                (0, _) => Ok(dialect.begin.to_owned()),
                (_, Some(false)) => Err(ended()),
                (depth, _) => Ok(format!("{} {}", dialect.savepoint, savepoint(depth))),
            }
        })?;
        self.run(&statement, stop)?;
        self.depth += 1;
        self.owner = Some(owner);
        Ok(self.depth)
    }

    /// Commits the transaction at a depth; rolls it back if the commit fails.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if a transaction within it is still open, or if it has already
    /// ended: the outermost transaction is then rolled back. [`Error::Query`] if the database has
    /// ended it. Otherwise as for [`Connection::execute`].
    pub fn commit(&mut self, depth: usize, stop: &Stop) -> Result<()> {
        self.reject_lent()?;
        if depth != self.depth {
            self.roll_back(1, stop)?;
            return Err(Error::configuration(
                "a transaction that was begun within this one has not ended, or this one has: all is taken back",
            ));
        }
        let is_outermost = depth == 1;
        let statement = self.with(|connection| {
            if connection.in_transaction() == Some(false) {
                return Err(ended());
            }
            let dialect = connection.dialect();
            Ok(match depth - 1 {
                0 => Some(dialect.commit.to_owned()),
                part => dialect
                    .release
                    .map(|release| format!("{release} {}", savepoint(part))),
            })
        });
        let kept = match statement {
            Ok(Some(statement)) if is_outermost => {
                let committed = self.run(&statement, stop);
                committed.map_err(Error::of_lasting_work)
            }
            Ok(Some(statement)) => self.run(&statement, stop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            let _ = self.roll_back(depth, stop); // the error of the commit counts
        }
        self.depth = self.depth.min(depth - 1);
        kept
    }

    /// Rolls back the transaction at a depth, and those within it; does nothing if it has ended.
    ///
    /// # Errors
    ///
    /// As for [`Connection::execute`].
    pub fn roll_back(&mut self, depth: usize, stop: &Stop) -> Result<()> {
        self.reject_lent()?;
        if depth > self.depth {
            return Ok(()); // it has ended
        }
        self.depth = depth - 1;
        let statements = self.with(|connection| {
            let dialect = connection.dialect();
            Ok(match (connection.in_transaction(), depth - 1) {
                (Some(false), _) => Vec::new(),
                (_, 0) => vec![dialect.rollback.to_owned()],
                (_, part) => [Some(dialect.rollback_to), dialect.release]
                    .into_iter()
                    .flatten()
                    .map(|word| format!("{word} {}", savepoint(part)))
                    .collect(),
            })
        })?;
        let mut statements = statements.iter();
        statements.try_for_each(|statement| self.run(statement, stop))
    }

    /// Closes the connection, and ends a read that has its session. `reason` is the end of the
    /// message of later errors.
    pub fn close(&mut self, reason: &str) {
        if let Some(loan) = self.loan.take() {
            loan.stop.set();
        }
        self.connection = None;
        self.depth = 0;
        reason.clone_into(&mut self.reason);
    }
}

impl Drop for KeptConnection {
    fn drop(&mut self) {
        if self.process != process::id() {
            // Closing the session would end it for the process that this one was forked from.
            mem::forget(self.connection.take());
        }
    }
}

/// Ends a statement whose answer has not been received to its end.
fn freed(connection: &mut dyn Connection) -> Result<()> {
    connection.end_statement().map_err(|error| {
        Error::connection(format!(
            "a read ended before its last row, and its statement could not be ended: {error}"
        ))
    })
}

/// Returns the beginning of a query, in one line.
fn shortened(query: &str) -> String {
    const LONGEST: usize = 60;
    let words: Vec<&str> = query.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Reason why a connection is closed after a signal has ended one of its calls.
pub const INTERRUPTED: &str = ": a call was interrupted";

fn ended() -> Error {
    Error::Query {
        message: "the transaction of this block has ended by itself, or by a statement: nothing more belongs to it"
            .to_owned(),
        code: None,
        partition: None,
        is_transient: false,
    }
}

/// Returns the name of the savepoint at a depth.
fn savepoint(depth: usize) -> String {
    format!("industrydb_{depth}")
}
