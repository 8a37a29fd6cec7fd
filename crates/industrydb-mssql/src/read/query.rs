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
    /// Names of all columns in brackets, if the first query leaves one unnamed; else empty.
    pub(crate) names: String,
    /// The columns of each query, as the server described them.
    pub(crate) described: Vec<Vec<DescribedColumn>>,
    /// How the columns of each query are built.
    pub(crate) decodings: Vec<Vec<Decoding>>,
    /// Sessions between two uses; the one that described the query also reads.
    pub(crate) idle: Idle<Session>,
}

impl MssqlQuery {
    /// Runs work on an idle session or a new one, which is closed after an error.
    pub(crate) fn with_session<T>(
        &self,
        stop: &Stop,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let open = || Session::open(&self.options, &self.setup, stop);
        self.idle.with(open, work)
    }

    /// Finds the table's column behind each column of the query, as far as the server tells.
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

    /// The query that is divided.
    pub(crate) fn query(&self) -> &str {
        self.queries.first().map(String::as_str).unwrap_or_default()
    }
}
