//! A request whose columns are known, and its sessions.

use std::sync::OnceLock;

use industrydb_core::{Error, Field, Idle, Result, Stop};

use crate::config::options::Options;
use crate::read::explained::Explained;
use crate::read::group::Held;
use crate::session::connect::Session;
use crate::session::start::{Purpose, Start};
use crate::sql::statements;
use crate::sql::table::Table;
use crate::types::{Decoding, DescribedColumn, TypeEntry};

/// A request whose columns are known.
pub(crate) struct PostgresQuery {
    pub(crate) options: Options,
    pub(crate) start: Start,
    pub(crate) queries: Vec<String>,
    pub(crate) parameters: Vec<Option<String>>,
    pub(crate) fields: Vec<Field>,
    pub(crate) columns: Vec<Column>,
    /// Columns of each query, as the server has described them.
    pub(crate) described: Vec<Vec<DescribedColumn>>,
    /// Decodings of each query's columns, which may differ even if the types are the same.
    pub(crate) decodings: Vec<Vec<Decoding>>,
    /// Whether the plan shows that the query reads no other relations: [`Explained::is_bare`].
    pub(crate) is_bare: bool,
    /// Whether the query calls only known functions: [`Explained::calls_known`].
    pub(crate) calls_known: bool,
    /// Sessions between two uses; the one that described the query also reads.
    pub(crate) idle: Idle<Session>,
    /// What all sessions hold, once they have begun together.
    pub(crate) held: OnceLock<Held>,
    /// Set if several sessions read, each with its own snapshot.
    pub(crate) is_apart: OnceLock<()>,
}

impl PostgresQuery {
    /// Runs `work` with an idle session, or with a new one; closes the session after an error.
    pub(crate) fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        self.idle.with(|| self.open(stop), work)
    }

    pub(crate) fn open(&self, stop: &Stop) -> Result<Session> {
        if self.held.get().is_some() {
            return Err(Error::connection(
                "no session is left that sees the state of the others",
            ));
        }
        let mut session = Session::open(&self.options, &self.start, stop)?;
        if self.is_apart.get().is_some() {
            session.bound_waits();
        }
        self.in_transaction(&mut session, stop)?;
        Ok(session)
    }

    /// Begins the transaction of a session, unless it is in one or needs none.
    pub(crate) fn in_transaction(&self, session: &mut Session, stop: &Stop) -> Result<()> {
        if self.start.purpose == Purpose::Transaction && !session.in_transaction {
            session.begin(&self.start, self.start.moment(), self.start.wait(), stop)?;
        }
        Ok(())
    }

    /// Runs an EXPLAIN of a statement that contains the query.
    pub(crate) fn explain(&self, sql: &str, stop: &Stop) -> Result<Explained> {
        let rows = self.with_session(stop, |session| session.rows(sql, &self.parameters, stop))?;
        Explained::new(rows).ok_or_else(|| Error::connection("the server's EXPLAIN is no JSON"))
    }

    pub(crate) fn look_up_table(&self, oid: u32, stop: &Stop) -> Result<Option<Table>> {
        let sql = statements::table(oid);
        let rows = self.with_session(stop, |session| session.rows(&sql, &[], stop))?;
        Ok(Table::new(rows))
    }
}

/// What is known of a column, besides its field.
pub(crate) struct Column {
    pub(crate) entry: TypeEntry,
    pub(crate) table: u32,
    /// Whether the type is built in, and not a user's type of the same name.
    pub(crate) is_built_in: bool,
}
