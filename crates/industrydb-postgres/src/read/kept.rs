//! Reads a query in a session that the caller keeps, within its transaction.

use industrydb_core::field::reject_duplicate_names;
use industrydb_core::narrow::Narrowing;
use industrydb_core::shape::{begins_with, has_word, has_word_behind_bracket};
use industrydb_core::statements::Statement;
use industrydb_core::{Columns, Field, Output, Request, Result, Stop};

use crate::read::explained::Explained;
use crate::read::narrowed::{measuring, narrowed};
use crate::read::query::Column;
use crate::read::rows::{self, Rows, asked_rows};
use crate::read::typed::{returns_no_rows, with_types};
use crate::session::connect::Session;
use crate::session::describe::{self, reject_changed};
use crate::sql::control;
use crate::sql::dialect::LEXICON;
use crate::sql::parameters;
use crate::sql::statements;
use crate::types::{Decoding, DescribedColumn};
use crate::wire::Format;

/// A query that the server has described.
pub(crate) struct KeptQuery {
    query: String,
    parameters: Vec<Option<String>>,
    described: Vec<DescribedColumn>,
    fields: Vec<Field>,
    columns: Vec<Column>,
}

impl KeptQuery {
    /// Has the server describe the only query of a request.
    pub(crate) fn describe(session: &mut Session, request: &Request, stop: &Stop) -> Result<Self> {
        let query = request.statement(LEXICON)?;
        if !is_query(&query) {
            return Err(returns_no_rows());
        }
        let parameters = parameters::texts(&request.parameters)?;
        let description = describe::described(session, &query, parameters.len(), stop)
            .map_err(|error| session.explained(error, &query, &query, stop))?;
        description.reject_lists(&parameters::lists(&request.parameters), session, stop)?;
        let described = description.columns.ok_or_else(returns_no_rows)?;
        let (fields, columns) = with_types(&described, request, session, stop)?;
        reject_duplicate_names(&fields)?;
        Ok(Self {
            query,
            parameters,
            described,
            fields,
            columns,
        })
    }

    /// Returns the columns.
    pub(crate) fn columns(self) -> Columns {
        Columns::of(self.fields)
    }

    /// Returns the query for some of its columns and rows.
    pub(crate) fn narrowed(
        &self,
        session: &mut Session,
        request: &Request,
        narrowing: &Narrowing,
        stop: &Stop,
    ) -> Result<Statement> {
        let mut explain = |sql: &str| {
            let answer = session.attempt(sql, &self.parameters, stop)?;
            if session.in_transaction {
                session.script(control::RELEASE, stop)?;
            }
            Ok(answer.ok().and_then(Explained::new))
        };
        narrowed(
            &self.query,
            &self.fields,
            &self.columns,
            narrowing,
            &request.parameters,
            &mut explain,
        )
    }

    /// Returns a query whose values tell the types of some columns.
    pub(crate) fn measuring(&self, columns: &[String]) -> String {
        measuring(&self.query, &self.fields, &self.columns, columns)
    }

    /// Reads the rows. Batches are asked for one after the other: a read that ends early neither
    /// receives the rest nor has to cancel the statement, which would fail the transaction.
    pub(crate) fn read(
        &self,
        session: &mut Session,
        begin: &mut dyn FnMut(&[Field]) -> Result<()>,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        begin(&self.fields)?;
        let decodings = self.columns.iter().map(|column| &column.entry.decoding);
        let decodings: Vec<Decoding> = decodings.cloned().collect();
        let statement = statements::with_casts(&self.query, &self.fields, &decodings);
        if output.is_whole() {
            let formats = vec![Format::Binary; decodings.len()];
            session.start_bound(&statement, &self.parameters, &formats, stop)?;
        } else {
            let count = asked_rows(output);
            session.start_asking(&statement, &self.parameters, count, stop)?;
        }
        let found = output
            .meter
            .waiting(|| describe::description(session, stop))?;
        reject_changed(
            &self.described,
            &found.columns.unwrap_or_default(),
            &decodings,
        )?;
        let rows = Rows::new(&self.fields, &decodings);
        let chunk = rows::collect(session, rows, output, stop)?;
        session.stop_asking(stop)?;
        session.collect(stop)?;
        output.push(chunk)
    }
}

/// Returns whether a statement can be a subquery. One that changes the database cannot, not even by
/// a WITH.
pub(crate) fn is_query(statement: &str) -> bool {
    begins_with(statement, LEXICON, &["SELECT", "VALUES", "TABLE"])
        || begins_with(statement, LEXICON, &["WITH"]) && !changes_within(statement)
}

/// Returns whether a WITH has a statement that changes the database. It begins behind a bracket,
/// or behind a name in `SEARCH` and `CYCLE`; elsewhere, its word is a column, or that of a lock.
fn changes_within(statement: &str) -> bool {
    const CHANGES: [&str; 4] = ["INSERT", "UPDATE", "DELETE", "MERGE"];
    if has_word(statement, LEXICON, &["SEARCH", "CYCLE"]) {
        return has_word(statement, LEXICON, &CHANGES);
    }
    has_word_behind_bracket(statement, LEXICON, &CHANGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_change_nothing() {
        for query in [
            "with q as (select 1) select a from t for update",
            "WITH q AS (SELECT 1 AS update) SELECT update, \"delete\" FROM q",
            "WITH q AS (SELECT 1) SELECT '(DELETE FROM t)' FROM q -- (UPDATE",
            "(SELECT 1)",
        ] {
            assert!(is_query(query), "{query}");
        }
        for statement in [
            "DELETE FROM t",
            "WITH q AS (DELETE FROM t RETURNING a) SELECT a FROM q",
            "WITH q AS MATERIALIZED ( /* x */ update t SET a = 1 RETURNING a) TABLE q",
            "WITH q AS (SELECT 1)DELETE FROM t RETURNING a",
            "WITH q AS (WITH z AS (SELECT 1) INSERT INTO t VALUES (1) RETURNING a) TABLE q",
            "WITH q AS (SELECT 1), r AS (SELECT 2)\nMERGE INTO t USING q ON true WHEN MATCHED THEN DELETE",
            "WITH RECURSIVE q AS (SELECT 1) SEARCH DEPTH FIRST BY b SET o DELETE FROM t RETURNING a",
        ] {
            assert!(!is_query(statement), "{statement}");
        }
    }
}
