//! A column of a query's result, as the database describes it.

use std::fmt::Display;

use super::column_type::ColumnType;
use crate::base::error::{Error, Result};

/// One column of a query's result, as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name in the result.
    pub name: String,
    /// The type's name in the database, for messages.
    pub database_type: String,
    /// The type that the column becomes.
    pub column_type: ColumnType,
    /// The type that the connector's type table picked; also the type of the keys if the query is
    /// cut by this column.
    pub own_type: ColumnType,
    /// Whether the column's final type depends on its values.
    pub is_open: bool,
}

impl Field {
    /// Creates a column with the type that the type table picked.
    pub fn new(name: &str, database_type: &str, column_type: ColumnType) -> Self {
        Self {
            name: name.to_owned(),
            database_type: database_type.to_owned(),
            own_type: column_type.clone(),
            is_open: column_type.is_open(),
            column_type,
        }
    }

    /// Fixes the column's type to the one that the caller asks for, or that was settled before.
    pub fn ask(&mut self, column_type: ColumnType) {
        self.column_type = column_type;
        self.is_open = false;
    }

    /// Returns whether the column is read as a type that is not the type table's.
    pub fn is_converted(&self) -> bool {
        self.column_type != self.own_type
    }
}

/// Refuses the columns of a further query, counted from 1, whose names or types differ from the
/// first query's.
///
/// # Errors
///
/// [`Error::Configuration`] that shows the columns of both queries.
pub fn reject_other_fields(first: &[Field], other: &[Field], number: usize) -> Result<()> {
    let key = |field: &Field| (field.name.clone(), field.column_type.clone());
    if first.iter().map(key).eq(other.iter().map(key)) {
        Ok(())
    } else {
        Err(fields_differ(first, other, number))
    }
}

/// Creates the error for a query, counted from 1, whose columns differ from the first query's.
pub fn fields_differ(first: &[Field], other: &[Field], number: usize) -> Error {
    let column = |field: &Field| match field.database_type.as_str() {
        "" => format!("{:?} {}", field.name, field.column_type),
        name => format!("{:?} {} ({name})", field.name, field.column_type),
    };
    let shown = |fields: &[Field]| fields.iter().map(column).collect::<Vec<_>>().join(", ");
    Error::configuration(format!(
        "the queries of the list must have the same columns\nquery 1 has {}\nquery {number} has {}",
        shown(first),
        shown(other)
    ))
}

/// Creates the error for a query whose columns are no longer the described ones. Each column has a
/// name and the name of its type.
pub fn columns_changed<'a, T: Display>(
    described: impl Iterator<Item = (&'a str, T)>,
    found: impl Iterator<Item = (&'a str, T)>,
) -> Error {
    fn shown<'a, T: Display>(columns: impl Iterator<Item = (&'a str, T)>) -> String {
        let columns = columns.map(|(name, type_name)| format!("{name:?} {type_name}"));
        columns.collect::<Vec<_>>().join(", ")
    }
    Error::Query {
        message: format!(
            "the query's columns have changed since it was described; read again\nthey were {}\nand are {}",
            shown(described),
            shown(found)
        ),
        code: None,
        partition: None,
        is_transient: true,
    }
}

/// Refuses columns of the same name, which a frame cannot have.
///
/// # Errors
///
/// [`Error::Configuration`] that lists these names.
pub fn reject_duplicate_names(fields: &[Field]) -> Result<()> {
    let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    let mut twice: Vec<&str> = names
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    twice.dedup();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "the query's result has several columns named {twice:?}; a frame needs distinct names, so \
         give them aliases with AS"
    )))
}

/// Creates the error for a column whose values cannot be read as the asked type.
pub fn not_convertible(column: &str, database_type: &str, asked: &ColumnType) -> Error {
    let shown = match database_type {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    Error::configuration(format!(
        "column {column:?}{shown} cannot be read as {asked}, which schema_overrides asks for: convert it in \
         the query"
    ))
}
