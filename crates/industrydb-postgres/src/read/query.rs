//! A request whose columns are known, and its sessions.

use std::sync::OnceLock;

use industrydb_core::{Error, Field, Idle, Result, Stop};

use crate::config::options::Options;
use crate::read::explained::Explained;
use crate::read::group::Held;
use crate::session::connect::Session;
use crate::session::start::{Purpose, Start};
use crate::sql::moment::{Moment, Wait};
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
    /// The columns of each query, as the server has described them, …
    pub(crate) described: Vec<Vec<DescribedColumn>>,
    /// … and how they are decoded, which may differ where their types are the same.
    pub(crate) decodings: Vec<Vec<Decoding>>,
    /// Whether its plan shows that running the query looks into nothing else, …
    pub(crate) is_bare: bool,
    /// … or that it calls nothing but known functions, as far as they have names.
    pub(crate) calls_known: bool,
    /// Sessions between two uses; the one that described the query also reads.
    pub(crate) idle: Idle<Session>,
    /// What all sessions hold, once they have begun together.
    pub(crate) held: OnceLock<Held>,
    /// Whether several sessions read, each at its own moment.
    pub(crate) is_apart: OnceLock<()>,
}

/// What a query does before a condition on its rows may be tried.
#[derive(Default)]
pub(crate) struct MadeFirst {
    /// Whether its rows may stand for others that it takes for equal.
    pub(crate) groups: bool,
    /// The columns that are expressions, from which its own conditions may keep rows.
    pub(crate) columns: Vec<String>,
}

impl PostgresQuery {
    /// Uses an idle session, or a new one that sees the same state; after an error it is closed.
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

    /// Lets a session begin its transaction, unless it is in one or is to have none.
    pub(crate) fn in_transaction(&self, session: &mut Session, stop: &Stop) -> Result<()> {
        if self.start.purpose == Purpose::Transaction && !session.in_transaction {
            session.begin(&self.start, Moment::Each, Wait::Long, stop)?;
        }
        Ok(())
    }

    /// Asks for the plan of a statement with the query inside.
    pub(crate) fn explain(&self, sql: &str, stop: &Stop) -> Result<Explained> {
        let rows = self.with_session(stop, |session| session.rows(sql, &self.parameters, stop))?;
        Explained::new(rows).ok_or_else(|| Error::connection("the server's EXPLAIN is no JSON"))
    }

    pub(crate) fn look_up_table(&self, oid: u32, stop: &Stop) -> Result<Option<Table>> {
        let sql = statements::table(oid);
        let rows = self.with_session(stop, |session| session.rows(&sql, &[], stop))?;
        Ok(Table::new(rows))
    }

    /// What a query does before a condition on some of its columns, each a column of a table or a
    /// view, may be tried.
    pub(crate) fn made_first(
        &self,
        query: &str,
        columns: &[&str],
        stop: &Stop,
    ) -> Result<MadeFirst> {
        let probed = |columns: &[&str]| -> Result<Option<Explained>> {
            let sql = statements::probe(query, columns);
            let answer = self.with_session(stop, |session| {
                session.attempt(&sql, &self.parameters, stop)
            })?;
            Ok(answer.ok().and_then(Explained::new))
        };
        let mut made_first = MadeFirst {
            groups: true,
            columns: Vec::new(),
        };
        let Some(explained) = probed(columns)? else {
            return Ok(made_first);
        };
        made_first.groups = explained.has_groups();
        if explained.tries_too_early() {
            for column in columns {
                let explained = probed(&[column])?;
                if explained.is_none_or(|explained| explained.tries_too_early()) {
                    made_first.columns.push((*column).to_owned());
                }
            }
        }
        Ok(made_first)
    }
}

/// What is known of a column beside its field.
pub(crate) struct Column {
    pub(crate) entry: TypeEntry,
    pub(crate) table: u32,
    /// Whether its type is one of those that PostgreSQL comes with, and not one of the same name.
    pub(crate) is_built_in: bool,
}
