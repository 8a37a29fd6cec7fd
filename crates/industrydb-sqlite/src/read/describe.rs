//! Describes a query's columns before the query runs.

use std::ffi::c_int;
use std::sync::atomic::AtomicUsize;

use industrydb_core::field::{fields_differ, not_convertible};
use industrydb_core::{Described, Error, Field, Idle, Parameters, Request, Result, Stop};
use rusqlite::Connection;

use super::clock;
use super::query::SqliteQuery;
use crate::config::options::Options;
use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::ffi::noting::Noting;
use crate::session::held::{self, HeldFiles};
use crate::session::mistakes::explained;
use crate::session::others::tell_of_others;
use crate::sql::dialect::LEXICON;
use crate::types::{ColumnKind, Declared};

/// Compiles the queries of a request, and describes their columns.
///
/// # Errors
///
/// When the file cannot be opened, SQLite refuses a query, or the queries have different columns.
pub(crate) fn describe(options: &Options, request: &Request, stop: &Stop) -> Result<Described> {
    let mut queries = request.statements(LEXICON)?;
    let held = request.held.as_deref().map(HeldFiles::parse).transpose()?;
    let connection = held::open(options, &request.setup, held.as_ref(), stop)?;
    tell_of_others(&connection)?;
    // Each query of a list is read by another connection, and all must use the same current time.
    let is_list = queries.len() > 1;
    let present = is_list.then(|| clock::present(&connection)).transpose()?;
    let mut columns: Option<Vec<Column>> = None;
    let mut declarations = Vec::new();
    let mut checks_often = true;
    for ((number, query), whole) in (1..).zip(&mut queries).zip(&request.queries) {
        let Prepared {
            columns: found,
            declared,
            checks_often: checks,
        } = prepare(&connection, query, whole, &request.parameters, stop)?;
        checks_often &= checks;
        if let Some(present) = present {
            let timed = clock::with_one_time(&connection, query, &declared, present, stop)?;
            *query = timed.unwrap_or_else(|| query.clone());
        }
        declarations.push(declared);
        columns = Some(match columns {
            None => found,
            Some(first) => merged(first, found, number)?,
        });
    }
    let mut columns = columns.ok_or_else(|| Error::configuration("there is no query"))?;
    for Column {
        field, declared, ..
    } in &mut columns
    {
        if let Some(asked) = request.asked(&field.name) {
            if !declared.may_become(asked) {
                return Err(not_convertible(&field.name, &field.database_type, asked));
            }
            field.ask(asked.clone());
        } else if let Some(known) = request.known(&field.name) {
            field.ask(known.clone());
        }
    }
    let fields: Vec<Field> = columns.iter().map(|column| column.field.clone()).collect();
    request.reject_unknown(&fields)?;
    let reader = SqliteQuery {
        options: options.clone(),
        setup: request.setup.clone(),
        held,
        queries: queries.clone(),
        parameters: request.parameters.clone(),
        kinds: columns
            .iter()
            .map(|column| {
                let name = &column.field.name;
                let (asked, known) = (request.asked(name), request.known(name));
                let kind = ColumnKind::new(column.declared, asked.cloned());
                match known {
                    Some(known) if asked.is_none() => kind.settled_as(known.clone()),
                    _ => kind,
                }
            })
            .collect(),
        fields: fields.clone(),
        declarations,
        checks_often,
        collates: columns
            .iter()
            .map(|column| column.has_known_collation)
            .collect(),
        origins: columns.into_iter().map(|column| column.origin).collect(),
        idle: Idle::new(connection),
        parts: AtomicUsize::new(0),
    };
    Ok(Described {
        fields,
        queries,
        reader: Box::new(reader),
    })
}

/// Returns the error for a statement that is no query.
pub(crate) fn returns_no_rows() -> Error {
    Error::configuration(
        "the query returns no rows or would change the database: read_sql takes a SELECT, and \
         has not run this statement",
    )
}

/// A column as SQLite describes it.
struct Column {
    field: Field,
    declared: Declared,
    /// Database and table of the column; `None` for an expression.
    origin: Option<(String, String)>,
    /// See [`Cursor::has_known_collation`].
    has_known_collation: bool,
}

/// What the compiled query tells of itself.
struct Prepared {
    columns: Vec<Column>,
    declared: Vec<Declaration>,
    /// Whether running it checks its stop signal often, as a count of rows does not.
    checks_often: bool,
}

fn prepare(
    connection: &Connection,
    query: &str,
    whole: &str,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<Prepared> {
    let (cursor, noted) = Noting::new(connection).of(|| Cursor::prepare(connection, query, stop));
    let mut cursor = cursor.map_err(|error| explained(connection, error, query, whole, stop))?;
    if !cursor.is_read_only() || cursor.column_count() == 0 {
        return Err(returns_no_rows());
    }
    cursor.bind(parameters)?;
    let column = |index: c_int| {
        let declared_type = cursor.declared_type(index).unwrap_or_default();
        let declared = Declared::new(&declared_type);
        let column_type = ColumnKind::new(declared, None).column_type();
        let field = Field::new(&cursor.column_name(index), &declared_type, column_type);
        let origin = cursor.origin(index);
        Column {
            field,
            declared,
            origin: origin.map(|(database, table, _)| (database, table)),
            has_known_collation: cursor.has_known_collation(index),
        }
    };
    Ok(Prepared {
        columns: (0..cursor.column_count()).map(column).collect(),
        declared: cursor.columns(),
        checks_often: !noted.counts,
    })
}

/// Merges the columns of the queries so far with those of another query, which must have the same
/// names and declared types. An expression has no declared type, and matches any.
fn merged(first: Vec<Column>, other: Vec<Column>, number: usize) -> Result<Vec<Column>> {
    let goes_with = |a: &Column, b: &Column| {
        let same = a.declared == b.declared
            || a.declared == Declared::Nothing
            || b.declared == Declared::Nothing;
        a.field.name == b.field.name && same
    };
    if first.len() != other.len() || !first.iter().zip(&other).all(|(a, b)| goes_with(a, b)) {
        let fields = |columns: &[Column]| -> Vec<Field> {
            columns.iter().map(|column| column.field.clone()).collect()
        };
        return Err(fields_differ(&fields(&first), &fields(&other), number));
    }
    let declared = |(a, b): (Column, Column)| {
        let is_open = a.field.is_open || b.field.is_open;
        let mut column = match a.declared {
            Declared::Nothing => b,
            _ => a,
        };
        column.field.is_open = is_open;
        column
    };
    Ok(first.into_iter().zip(other).map(declared).collect())
}
