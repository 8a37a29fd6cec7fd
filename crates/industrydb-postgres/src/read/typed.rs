//! Picks the decoding of each column of a query, and refuses what is no query.

use industrydb_core::field::not_convertible;
use industrydb_core::shape::begins_with;
use industrydb_core::{Error, Field, Request, Result, Stop};

use crate::read::query::Column;
use crate::session::catalog;
use crate::session::connect::Session;
use crate::sql::dialect::LEXICON;
use crate::types;
use crate::types::{DescribedColumn, TypeEntry};

/// Returns the fields of a query's columns, with the types that the request asks for, and how each
/// column is decoded.
pub(crate) fn with_types(
    described: &[DescribedColumn],
    request: &Request,
    session: &mut Session,
    stop: &Stop,
) -> Result<(Vec<Field>, Vec<Column>)> {
    let entries = catalog::entries(described, session, stop)?;
    let column = |(column, mut entry): (&DescribedColumn, TypeEntry)| {
        let mut field = field(column, &entry);
        if let Some(asked) = request.asked(&column.name) {
            if !entry.take_override(asked) {
                return Err(not_convertible(&column.name, &entry.name, asked));
            }
            field.ask(entry.decoding.column_type());
        } else if let Some(known) = request.known(&column.name)
            && (field.is_open && field.column_type.may_settle_as(known)
                || field.column_type == *known)
            && entry.take_override(known)
        {
            field.ask(entry.decoding.column_type());
        }
        let column = Column {
            entry,
            table: column.table,
            is_built_in: types::built_in(column.oid, -1).is_some(),
        };
        Ok((field, column))
    };
    let columns = described.iter().zip(entries).map(column);
    let columns: Vec<(Field, Column)> = columns.collect::<Result<_>>()?;
    let (fields, columns): (Vec<Field>, Vec<Column>) = columns.into_iter().unzip();
    request.reject_unknown(&fields)?;
    Ok((fields, columns))
}

/// Returns the field of a column, with the type that it has without an override.
pub(crate) fn field(column: &DescribedColumn, entry: &TypeEntry) -> Field {
    let mut field = Field::new(&column.name, &entry.name, entry.decoding.column_type());
    field.is_open |= entry.decoding.is_open();
    field
}

/// Returns whether a statement returns rows, but cannot be a part of another query.
pub(crate) fn is_command(statement: &str) -> bool {
    const COMMANDS: [&str; 5] = ["SHOW", "EXPLAIN", "EXECUTE", "FETCH", "CALL"];
    begins_with(statement, LEXICON, &COMMANDS)
}

/// Returns the error for a statement that is no query.
pub(crate) fn returns_no_rows() -> Error {
    Error::configuration(
        "the query returns no rows of its own: read_sql takes a SELECT, and has not run this statement",
    )
}
