//! Connection that a caller keeps, and its nested transactions.

use std::thread::ThreadId;
use std::{mem, process};

use super::connection::{Answer, Connection};
use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::schema::column_type::ColumnType;
use crate::schema::value::Parameters;
use crate::write::frame::{Frame, OnConflict};

/// Connection with the nested transactions that its caller has begun.
///
/// The outermost transaction is the database's own, and those within it are savepoints. A
/// connection that breaks is closed, and the error of every later call gives the reason.
pub struct KeptConnection {
    connection: Option<Box<dyn Connection>>,
    /// Number of open transactions, one within the other.
    depth: usize,
    /// Thread that has begun the transactions.
    owner: Option<ThreadId>,
    /// Reason why the connection is closed, as the end of a message.
    reason: String,
    /// Process that has opened the session.
    process: u32,
}

impl KeptConnection {
    /// Wraps a connection in which no transaction is open.
    pub fn new(connection: Box<dyn Connection>) -> Self {
        Self {
            connection: Some(connection),
            depth: 0,
            owner: None,
            reason: String::new(),
            process: process::id(),
        }
    }

    /// Returns whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.connection.is_none()
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
    /// The error of `work`; [`Error::Closed`] if the connection is closed.
    pub fn with<T>(&mut self, work: impl FnOnce(&mut dyn Connection) -> Result<T>) -> Result<T> {
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
        self.within(|connection| connection.execute(statement, parameters, stop))
    }

    /// Reads the rows of a query.
    ///
    /// # Errors
    ///
    /// As for [`Connection::read`]; [`Error::Query`] if the database has ended the transaction.
    pub fn read(
        &mut self,
        query: &str,
        parameters: &Parameters,
        overrides: &[(String, ColumnType)],
        stop: &Stop,
    ) -> Result<Answer> {
        self.within(|connection| connection.read(query, parameters, overrides, stop))
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
        if depth != self.depth {
            self.roll_back(1, stop)?;
            return Err(Error::configuration(
                "a transaction that was begun within this one has not ended, or this one has: all is taken back",
            ));
        }
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

    /// Closes the connection. `reason` is the end of the message of later errors.
    pub fn close(&mut self, reason: &str) {
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
