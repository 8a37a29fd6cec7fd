//! A request whose columns are known, and its sessions.

use industrydb_core::{Error, Field, Idle, Result, Stop};
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;

use crate::config::options::Options;
use crate::session::connect::Session;
use crate::session::described::DescribedColumn;
use crate::sql::metadata::{self, Source};
use crate::types::Decoding;

/// A request whose columns are known.
pub(crate) struct MssqlQuery {
    pub(crate) options: Options,
    pub(crate) setup: Vec<String>,
    pub(crate) queries: Vec<String>,
    pub(crate) parameters: Vec<RpcParameter>,
    pub(crate) declarations: String,
    pub(crate) fields: Vec<Field>,
    /// Column list of the derived table if the first query leaves a column unnamed; otherwise
    /// empty.
    pub(crate) names: String,
    /// The columns of each query, as the server described them.
    pub(crate) described: Vec<Vec<DescribedColumn>>,
    /// The decodings of the columns of each query.
    pub(crate) decodings: Vec<Vec<Decoding>>,
    /// Idle sessions; the one that described the query is also used to read.
    pub(crate) idle: Idle<Session>,
}

impl MssqlQuery {
    /// Runs work on an idle session or a new one; the session is closed after an error.
    pub(crate) fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let open = || Session::open(&self.options, &self.setup, stop);
        self.idle.with(open, work)
    }

    /// Finds the table column that each column of the query comes from, as far as the server
    /// reports it.
    pub(crate) fn sources(&self, stop: &Stop) -> Result<Vec<Option<Source>>> {
        let sql = metadata::describe(self.query(), &self.declarations, true);
        let told = self.with_session(stop, |session| match session.described(&sql, stop) {
            Ok(columns) => Ok(columns.into_iter().map(|column| column.source).collect()),
            Err(Error::Query { message, .. }) => {
                log::debug!("the server does not tell the query's tables: {message}");
                Ok(Vec::new())
            }
            Err(other) => Err(other),
        })?;
        let told: Vec<Option<Source>> = told;
        Ok(if told.len() == self.fields.len() {
            told
        } else {
            vec![None; self.fields.len()]
        })
    }

    /// Returns the query that is divided: the first one.
    pub(crate) fn query(&self) -> &str {
        self.queries.first().map(String::as_str).unwrap_or_default()
    }
}
