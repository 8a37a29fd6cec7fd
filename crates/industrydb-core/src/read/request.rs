//! What is to be read.

use crate::base::error::{CellError, Error, Result};
use crate::schema::column_type::ColumnType;
use crate::schema::field::Field;
use crate::schema::value::Parameters;
use crate::sql::narrow::Narrowing;
use crate::sql::tokens::{Lexicon, single_statement};

/// What is to be read.
#[derive(Debug, Clone)]
pub struct Request {
    /// One query, or several whose results are put under one another.
    pub queries: Vec<String>,
    /// The values that are bound to the parameters of each query.
    pub parameters: Parameters,
    /// Statements that every session runs first.
    pub setup: Vec<String>,
    /// Whether all sessions are to see one state of the database.
    pub snapshot: bool,
    /// The types that the caller asks for, by the names of their columns.
    pub overrides: Vec<(String, ColumnType)>,
    /// The types that columns are known to need, found before. Each of these columns has that type,
    /// and a value that does not fit is an error.
    pub settled: Vec<(String, ColumnType)>,
    /// Which columns and rows are wanted, if not all.
    pub narrowing: Option<Narrowing>,
}

impl Request {
    /// The queries, without what may stand behind a statement.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where one is no single statement.
    pub fn statements(&self, lexicon: Lexicon) -> Result<Vec<String>> {
        let statement = |query: &String| single_statement(query, lexicon).map(Into::into);
        self.queries.iter().map(statement).collect()
    }

    /// The type that the caller asks for in place of the type table's.
    pub fn asked(&self, column: &str) -> Option<&ColumnType> {
        type_of(&self.overrides, column)
    }

    /// The type that a column is known to need.
    pub fn known(&self, column: &str) -> Option<&ColumnType> {
        type_of(&self.settled, column)
    }

    /// Refuses types that are asked for columns that are not there.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] that names both.
    pub fn reject_unknown(&self, fields: &[Field]) -> Result<()> {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let asked = self.overrides.iter().map(|(name, _)| name.as_str());
        let unknown: Vec<&str> = asked.filter(|name| !names.contains(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "schema_overrides names {unknown:?}, and the query's columns are {names:?}"
        )))
    }
}

fn type_of<'a>(types: &'a [(String, ColumnType)], column: &str) -> Option<&'a ColumnType> {
    let found = types.iter().find(|(name, _)| name == column);
    found.map(|(_, column_type)| column_type)
}

/// Refuses columns whose types are not the settled ones: the table has changed since.
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

/// Refuses columns that are not those whose types are settled, where there are any: the table has
/// changed since.
///
/// # Errors
///
/// [`Error::Query`] that shows both.
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
