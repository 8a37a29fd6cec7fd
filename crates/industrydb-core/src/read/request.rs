//! Requests: what is to be read, and how.

use crate::base::error::{CellError, Error, Result};
use crate::base::suggest::did_you_mean;
use crate::schema::column_type::ColumnType;
use crate::schema::field::Field;
use crate::schema::value::Parameters;
use crate::sql::narrow::Narrowing;
use crate::sql::tokens::{Lexicon, single_statement};

/// Queries to read, with their parameters and options.
#[derive(Debug, Clone)]
pub struct Request {
    /// One query, or several whose results are concatenated.
    pub queries: Vec<String>,
    /// The values that are bound to the parameters of each query.
    pub parameters: Parameters,
    /// Statements that every session runs first.
    pub setup: Vec<String>,
    /// Whether all sessions must share one snapshot of the database.
    pub snapshot: bool,
    /// Snapshot that another session holds, as [`HeldSnapshot::token`](super::held::HeldSnapshot)
    /// names it; all sessions of the read see it.
    pub held: Option<String>,
    /// The types that the caller asks for, by the names of their columns.
    pub overrides: Vec<(String, ColumnType)>,
    /// The types that columns need, as found by an earlier read. Each of these columns has its
    /// type, and a value that does not fit is an error.
    pub settled: Vec<(String, ColumnType)>,
    /// The wanted columns and rows; `None` for all.
    pub narrowing: Option<Narrowing>,
}

impl Request {
    /// Creates the request of a single query, to be read in one partition.
    pub fn of(query: &str, parameters: &Parameters, overrides: &[(String, ColumnType)]) -> Self {
        Self {
            queries: vec![query.to_owned()],
            parameters: parameters.clone(),
            setup: Vec::new(),
            snapshot: true,
            overrides: overrides.to_vec(),
            settled: Vec::new(),
            held: None,
            narrowing: None,
        }
    }

    /// Returns the only query without the white space, comments and semicolons around it.
    ///
    /// # Errors
    ///
    /// As for [`statements`](Request::statements); [`Error::Configuration`] if there is no query,
    /// or more than one.
    pub fn statement(&self, lexicon: Lexicon) -> Result<String> {
        match <[String; 1]>::try_from(self.statements(lexicon)?) {
            Ok([statement]) => Ok(statement),
            Err(_) => Err(Error::configuration(
                "one session reads one query, and not a list",
            )),
        }
    }

    /// Returns the queries without the white space, comments and semicolons around each statement.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if a query is not a single statement.
    pub fn statements(&self, lexicon: Lexicon) -> Result<Vec<String>> {
        let statement = |query: &String| single_statement(query, lexicon).map(Into::into);
        self.queries.iter().map(statement).collect()
    }

    /// Returns the type that the caller asks for in place of the type table's, if any.
    pub fn asked(&self, column: &str) -> Option<&ColumnType> {
        type_of(&self.overrides, column)
    }

    /// Returns the settled type of a column, if any.
    pub fn known(&self, column: &str) -> Option<&ColumnType> {
        type_of(&self.settled, column)
    }

    /// Refuses types that the caller asks for columns that the query does not have.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] that names these columns and the query's.
    pub fn reject_unknown(&self, fields: &[Field]) -> Result<()> {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let asked = self.overrides.iter().map(|(name, _)| name.as_str());
        let unknown: Vec<&str> = asked.filter(|name| !names.contains(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let meant: String = unknown
            .iter()
            .map(|name| did_you_mean(name, &names))
            .collect();
        Err(Error::configuration(format!(
            "schema_overrides names {unknown:?}, which the query does not have{meant}; its columns are {names:?}"
        )))
    }
}

fn type_of<'a>(types: &'a [(String, ColumnType)], column: &str) -> Option<&'a ColumnType> {
    let found = types.iter().find(|(name, _)| name == column);
    found.map(|(_, column_type)| column_type)
}

/// Refuses columns whose types differ from the settled ones, since the table has changed.
///
/// # Errors
///
/// [`Error::Conversion`] that shows both types.
pub(crate) fn reject_changed_types(request: &Request, fields: &[Field]) -> Result<()> {
    for field in fields {
        if request.asked(&field.name).is_none()
            && let Some(known) = request.known(&field.name)
            && field.column_type != *known
        {
            let reason = format!(
                "the column is {} now, and was {known} when its type was settled",
                field.column_type
            );
            let remedy = "plan the read again, or ask for a type by schema_overrides";
            let error = CellError::new(None, reason, remedy);
            return Err(error.at(&field.name, &field.database_type, None));
        }
    }
    Ok(())
}

/// Refuses columns whose names differ from those with settled types, since the table has changed.
/// Does nothing if no types are settled.
///
/// # Errors
///
/// [`Error::Query`] that shows the names before and now.
pub(crate) fn reject_changed_names(request: &Request, fields: &[Field]) -> Result<()> {
    let now: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let then: Vec<&str> = request
        .settled
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    if then.is_empty() || now == then {
        return Ok(());
    }
    Err(Error::Query {
        message: format!(
            "the query's columns have changed since it was planned: they were {then:?}, and are {now:?}; \
             plan the read again"
        ),
        code: None,
        partition: None,
        is_transient: false,
    })
}
