//! The columns of a query: their types, where they come from, and what follows from that.

use std::collections::HashSet;
use std::ffi::c_int;

use industrydb_core::field::{fields_differ, not_convertible};
use industrydb_core::narrow::{Bind, Narrowing, Test, narrowed};
use industrydb_core::statements::Statement;
use industrydb_core::{Error, Field, Parameters, Request, Result, Stop};
use rusqlite::Connection;

use super::shape::Shape;
use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::ffi::noting::Noting;
use crate::session::mistakes::explained;
use crate::sql::dialect::DIALECT;
use crate::sql::filter;
use crate::types::{ColumnKind, Declared};

/// The columns of a query, with the types that the request asks for.
pub(crate) struct Typed {
    pub(crate) fields: Vec<Field>,
    pub(crate) kinds: Vec<ColumnKind>,
    /// Database and table of each column; `None` for an expression.
    pub(crate) origins: Vec<Option<(String, String)>>,
    /// Whether each column has a collation that every SQLite knows.
    collates: Vec<bool>,
}

impl Typed {
    pub(crate) fn new(mut columns: Vec<Column>, request: &Request) -> Result<Self> {
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
        let kind = |column: &Column| {
            let name = &column.field.name;
            let (asked, known) = (request.asked(name), request.known(name));
            let kind = ColumnKind::new(column.declared, asked.cloned());
            match known {
                Some(known) if asked.is_none() => kind.settled_as(known.clone()),
                _ => kind,
            }
        };
        Ok(Self {
            fields,
            kinds: columns.iter().map(kind).collect(),
            collates: columns
                .iter()
                .map(|column| column.has_known_collation)
                .collect(),
            origins: columns.into_iter().map(|column| column.origin).collect(),
        })
    }

    /// Returns a query for some of its columns and rows.
    pub(crate) fn narrowed(
        &self,
        connection: &Connection,
        query: &str,
        narrowing: &Narrowing,
        parameters: &Parameters,
        stop: &Stop,
    ) -> Result<Statement> {
        let is_alike =
            narrowing.largest && self.orders_alike(connection, query, &narrowing.columns, stop)?;
        let narrowing = &Narrowing {
            largest: is_alike,
            ..narrowing.clone()
        };
        let is_row_by_row = narrowing.filter.is_some() && is_row_by_row(connection, query, stop)?;
        let write = |index: usize, test: &Test, bind: Bind| {
            let is_stored = is_row_by_row && self.origins[index].is_some() && self.collates[index];
            let declared = self.kinds[index].declared;
            filter::written(&self.fields[index], declared, is_stored, test, bind)
        };
        let narrowed = narrowed(&DIALECT, &self.fields, narrowing, parameters, &write);
        let statement = narrowed.select(query, narrowing.limit);
        Ok(if self.can_stand_in(connection, &statement.0, stop)? {
            statement
        } else {
            (query.to_owned(), parameters.clone())
        })
    }

    /// Returns the names of the columns whose final type depends on their values. SQLite reports
    /// the declared types of one SELECT of a compound query; the other SELECTs may return values of
    /// other types.
    pub(crate) fn open_columns(
        &self,
        connection: &Connection,
        queries: &[String],
        stop: &Stop,
    ) -> Result<Vec<String>> {
        let mut is_compound = false;
        for query in queries {
            is_compound |= !is_one_select(connection, query, stop)?;
        }
        let is_asked = |index: usize| self.kinds[index].asked.is_some();
        let fields = self.fields.iter().enumerate();
        let open =
            fields.filter(|(index, field)| field.is_open || is_compound && !is_asked(*index));
        Ok(open.map(|(_, field)| field.name.clone()).collect())
    }

    /// Returns whether the query keeps its columns when it becomes a derived table in the statement
    /// `sql`. PRAGMA and EXPLAIN cannot be derived tables; columns whose names differ only in case,
    /// or are `true` or `false`, would get other names.
    fn can_stand_in(&self, connection: &Connection, sql: &str, stop: &Stop) -> Result<bool> {
        let folded = |field: &Field| field.name.to_ascii_lowercase();
        let names: HashSet<String> = self.fields.iter().map(folded).collect();
        if names.len() < self.fields.len() {
            return Ok(false);
        }
        Ok(Cursor::prepare_if_valid(connection, sql, stop)?.is_some())
    }

    /// Returns whether SQLite sorts the columns' stored values in the same order as the values that
    /// are read. SQLite sorts numbers before text, whatever they mean, and text by characters:
    /// dates in several formats, zones or fractions sort differently, and so do numbers stored as
    /// text.
    fn orders_alike(
        &self,
        connection: &Connection,
        query: &str,
        columns: &[String],
        stop: &Stop,
    ) -> Result<bool> {
        let is_one_select = is_one_select(connection, query, stop)?;
        let is_alike = |index: usize| match self.kinds[index].declared {
            // An INTEGER column stores no text that is an integer, and other text cannot be read as
            // an integer.
            Declared::Integer => is_one_select && self.origins[index].is_some(),
            // The column gets the type of its largest value, and text and blobs are larger than all
            // numbers.
            Declared::Nothing => true,
            _ => false,
        };
        let is_wanted = |field: &Field| columns.contains(&field.name);
        let mut wanted = self
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| is_wanted(field));
        Ok(wanted.all(|(index, field)| !field.is_converted() && is_alike(index)))
    }
}

/// Returns whether the query is a single SELECT, so that all values of a table's column come from
/// that table.
pub(crate) fn is_one_select(connection: &Connection, query: &str, stop: &Stop) -> Result<bool> {
    let shape = shape(connection, query, stop)?;
    Ok(shape.is_some_and(|shape| !shape.is_compound))
}

/// Returns whether a condition on a table's columns in the result is a condition on that table's
/// single rows: the query is a single SELECT that makes no groups.
fn is_row_by_row(connection: &Connection, query: &str, stop: &Stop) -> Result<bool> {
    match shape(connection, query, stop)? {
        Some(shape) => Ok(!shape.is_compound && !shape.makes_groups(connection, query)?),
        None => Ok(false),
    }
}

/// Returns the query's shape; `None` for a statement that SQLite does not explain, such as PRAGMA
/// and EXPLAIN.
fn shape(connection: &Connection, query: &str, stop: &Stop) -> Result<Option<Shape>> {
    match Shape::new(connection, query, stop) {
        Ok(shape) => Ok(Some(shape)),
        Err(Error::Query { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// A column as SQLite describes it.
pub(crate) struct Column {
    pub(crate) field: Field,
    declared: Declared,
    /// Database and table of the column; `None` for an expression.
    origin: Option<(String, String)>,
    /// See [`Cursor::has_known_collation`].
    has_known_collation: bool,
}

/// What the compiled query tells of itself.
pub(crate) struct Prepared {
    pub(crate) columns: Vec<Column>,
    pub(crate) declared: Vec<Declaration>,
    /// Whether running it checks its stop signal often, as a count of rows does not.
    pub(crate) checks_often: bool,
}

/// Compiles a query, and describes its columns.
pub(crate) fn prepare(
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
    Ok(Prepared {
        columns: described(&cursor),
        declared: cursor.columns(),
        checks_often: !noted.counts,
    })
}

/// Describes the columns of a compiled query.
pub(crate) fn described(cursor: &Cursor) -> Vec<Column> {
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
    (0..cursor.column_count()).map(column).collect()
}

/// Merges the columns of the queries so far with those of another query, which must have the same
/// names and declared types. An expression has no declared type, and matches any.
pub(crate) fn merged(first: Vec<Column>, other: Vec<Column>, number: usize) -> Result<Vec<Column>> {
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

/// Returns the error for a statement that is no query.
pub(crate) fn returns_no_rows() -> Error {
    Error::configuration(
        "the query returns no rows or would change the database: read_sql takes a SELECT, and \
         has not run this statement",
    )
}
