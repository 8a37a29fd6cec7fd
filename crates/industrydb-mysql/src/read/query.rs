//! A request whose columns are known, and its sessions.

use std::sync::OnceLock;

use industrydb_core::field::columns_changed;
use industrydb_core::{Error, Field, Idle, Result, Stop};

use crate::config::options::Options;
use crate::encode::parameters::Parameter;
use crate::session::connect::Session;
use crate::sql::control;
use crate::sql::dialect::SqlMode;
use crate::types::{Decoding, DescribedColumn, decoding, type_of};

/// Longest wait for a table's definition, in seconds, of a session that reads beside others: the
/// session that holds it may itself wait for one of them.
pub(crate) const APART_WAIT_S: u32 = 30;

/// A request whose columns are known.
pub(crate) struct MysqlQuery {
    pub(crate) options: Options,
    pub(crate) setup: Vec<String>,
    pub(crate) queries: Vec<String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) fields: Vec<Field>,
    /// Columns of each query, as the server has described them.
    pub(crate) described: Vec<Vec<DescribedColumn>>,
    /// Decodings of each query's columns.
    pub(crate) decodings: Vec<Vec<Decoding>>,
    pub(crate) mode: SqlMode,
    /// Sessions between two uses; the one that described the query also reads.
    pub(crate) idle: Idle<Session>,
    /// Set once several partitions are read from one state of the database.
    pub(crate) is_together: OnceLock<()>,
    /// Set if several sessions read, each statement with a state of its own.
    pub(crate) is_apart: OnceLock<()>,
}

impl MysqlQuery {
    /// Runs `work` with an idle session, or with a new one; closes the session after an error.
    pub(crate) fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        self.idle.with(|| self.open(stop), work)
    }

    pub(crate) fn open(&self, stop: &Stop) -> Result<Session> {
        if self.is_together.get().is_some() {
            return Err(Error::connection(
                "no session is left that sees the state of the others",
            ));
        }
        let mut session = Session::open_reading(&self.options, &self.setup, stop)?;
        if self.is_apart.get().is_some() {
            session.run(&control::lock_wait(APART_WAIT_S), stop)?;
        }
        Ok(session)
    }

    /// Returns the query that is divided: the first one.
    pub(crate) fn query(&self) -> &str {
        self.queries.first().map(String::as_str).unwrap_or_default()
    }
}

/// Returns how the columns of a result are decoded into those of the described ones, whose decodings
/// are given; an error if they are others: the table may have been altered since.
pub(crate) fn decodings_of_sent(
    described: &[DescribedColumn],
    decodings: &[Decoding],
    sent: &[DescribedColumn],
) -> Result<Vec<Decoding>> {
    let columns = described.iter().zip(decodings).zip(sent);
    let found = columns.map(|((described, own), sent)| {
        let is_named_so = described.name == sent.name;
        let found = if described.may_have_no_type() && sent.may_have_no_type() {
            Some(own.clone())
        } else {
            own.of_sent(&decoding(sent)?)
        };
        found.filter(|_| is_named_so)
    });
    let found: Option<Vec<Decoding>> = found.collect();
    found
        .filter(|found| [described.len(), sent.len()] == [found.len(); 2])
        .ok_or_else(|| {
            let columns =
                |columns| <[DescribedColumn]>::iter(columns).map(|c| (&*c.name, type_of(c)));
            columns_changed(columns(described), columns(sent))
        })
}

/// Refuses a result whose columns are others than the described ones.
pub(crate) fn reject_changed(
    described: &[DescribedColumn],
    sent: &[DescribedColumn],
) -> Result<()> {
    let own: Option<Vec<Decoding>> = described.iter().map(decoding).collect();
    decodings_of_sent(described, &own.unwrap_or_default(), sent).map(drop)
}
