//! Inserts a frame's rows into a table with one prepared statement, in one transaction.

use std::ffi::c_int;

use industrydb_core::convert::{exact_float64, float64};
use industrydb_core::scalar::Scalar;
use industrydb_core::statements::{places, reject_missing_keys};
use industrydb_core::{
    CellError, CellResult, ColumnType, Error, Frame, OnConflict, Result, Stop, iso,
};
use rusqlite::Connection;

use crate::ffi::cursor::Cursor;
use crate::ffi::errors::failed;
use crate::ffi::row::Cell;
use crate::session::catalog;
use crate::session::mistakes::mismatched;
use crate::session::others::look_before_writing;
use crate::sql::dialect::DIALECT;
use crate::types::{Affinity, Declared, FLOAT_DIGITS};

/// Number of rows between two checks of the stop flag.
const ROWS_BETWEEN_CHECKS: usize = 1024;

/// A table's column that is written.
struct Column {
    name: String,
    declared_type: String,
    affinity: Affinity,
    /// Whether reads return the column as datetimes, which have microseconds.
    reads_as_datetime: bool,
    /// Whether the column is the table's rowid: SQLite stores a number of its own in place of a NULL.
    is_rowid: bool,
    /// Whether the values are datetimes in UTC, which are written with `+00:00`.
    utc: bool,
    /// Buffer for the text of the current row's value.
    text: String,
}

/// Writes all rows or none, and returns the number of rows that SQLite reports as changed.
pub(crate) fn insert(
    connection: &Connection,
    table: &str,
    frame: &Frame,
    on_conflict: OnConflict,
    stop: &Stop,
) -> Result<u64> {
    let target = DIALECT.target(table, frame.columns())?;
    let (begin, commit, rollback) = if connection.is_autocommit() {
        (DIALECT.begin, DIALECT.commit, DIALECT.rollback)
    } else {
        (
            "SAVEPOINT industrydb_rows",
            "RELEASE industrydb_rows",
            "ROLLBACK TO industrydb_rows; RELEASE industrydb_rows",
        )
    };
    look_before_writing(connection)?;
    run(connection, begin, stop)?;
    let written = write(connection, table, &target, frame, on_conflict, stop).and_then(|rows| {
        // Another thread may have opened the file meanwhile.
        look_before_writing(connection)?;
        run(connection, commit, stop)?;
        Ok(rows)
    });
    // Some errors have ended the transaction already.
    if written.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch(rollback); // the first error is reported
    }
    written
}

/// Looks the table up and writes all rows. The surrounding transaction keeps the table's columns
/// from changing.
fn write(
    connection: &Connection,
    table: &str,
    target: &str,
    frame: &Frame,
    on_conflict: OnConflict,
    stop: &Stop,
) -> Result<u64> {
    let mut columns = columns(connection, target, table, frame, stop)?;
    let names: Vec<String> = columns
        .iter()
        .map(|column| DIALECT.quoted(&column.name))
        .collect();
    let marks = vec!["?"; columns.len()].join(", ");
    let conflict = match on_conflict {
        OnConflict::Error => String::new(),
        OnConflict::Ignore => " ON CONFLICT DO NOTHING".to_owned(),
        OnConflict::Replace => {
            let keys = keys(connection, target, table, stop)?;
            replacing(table, &keys, &columns)?
        }
    };
    let sql = format!(
        "INSERT INTO {target} ({}) VALUES ({marks}){conflict}",
        names.join(", ")
    );
    insert_rows(connection, &sql, &mut columns, frame, stop)
        .map_err(|error| mismatched(connection, error, target))
}

fn run(connection: &Connection, statement: &str, stop: &Stop) -> Result<()> {
    Cursor::prepare(connection, statement, stop)?
        .step()
        .map(drop)
}

/// Returns the frame's columns, with their declarations in the table.
fn columns(
    connection: &Connection,
    target: &str,
    table: &str,
    frame: &Frame,
    stop: &Stop,
) -> Result<Vec<Column>> {
    let sql = format!("SELECT * FROM {target} LIMIT 0");
    // SQLite compiles a statement with the connection's cached schema, and compares that with the
    // file's only when the statement runs. So one statement runs first; from then on the
    // transaction keeps the table's columns from changing.
    Cursor::prepare(connection, &sql, stop)?.step()?;
    let cursor = Cursor::prepare(connection, &sql, stop)?;
    let names: Vec<String> = (0..cursor.column_count())
        .map(|index| cursor.column_name(index))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let places = places(&DIALECT, table, frame.columns(), &names)?;
    let column = |(place, (given, column_type)): (&usize, &(String, ColumnType))| {
        let index = c_int::try_from(*place).unwrap_or(c_int::MAX);
        let declared_type = cursor.declared_type(index).unwrap_or_default();
        if *column_type != ColumnType::Null && (DIALECT.type_name)(column_type).is_none() {
            return Err(Error::configuration(format!(
                "column {given:?} is {column_type}, which SQLite has no values for: convert it first"
            )));
        }
        Ok(Column {
            name: names[*place].to_owned(),
            affinity: Affinity::new(&declared_type),
            reads_as_datetime: Declared::new(&declared_type) == Declared::Datetime,
            is_rowid: false,
            declared_type,
            utc: matches!(column_type, ColumnType::Datetime { utc: true, .. }),
            text: String::new(),
        })
    };
    let columns = places.iter().zip(frame.columns()).map(column);
    let mut columns: Vec<Column> = columns.collect::<Result<_>>()?;
    let may_be_rowid = |column: &Column| column.declared_type.eq_ignore_ascii_case("INTEGER");
    if columns.iter().any(may_be_rowid)
        && let Some(rowid) = rowid(connection, target, table, stop)?
    {
        for column in &mut columns {
            column.is_rowid = column.name == rowid;
        }
    }
    Ok(columns)
}

/// Returns the database and the name of a table.
fn origin(connection: &Connection, target: &str, stop: &Stop) -> Result<Option<(String, String)>> {
    let cursor = Cursor::prepare(connection, &format!("SELECT * FROM {target}"), stop)?;
    let origin = (0..cursor.column_count()).find_map(|index| cursor.origin(index));
    Ok(origin.map(|(schema, name, _)| (schema, name)))
}

/// Returns the name of the column that stands for a table's rowid, if there is one.
fn rowid(
    connection: &Connection,
    target: &str,
    table: &str,
    stop: &Stop,
) -> Result<Option<String>> {
    let parts = DIALECT.parts(table)?;
    let own = parts.last().map(String::as_str).unwrap_or_default();
    let origin = origin(connection, target, stop)?;
    // The columns of a view come from other tables.
    let Some((schema, name)) = origin.filter(|(_, name)| name.eq_ignore_ascii_case(own)) else {
        return Ok(None);
    };
    catalog::rowid(connection, &schema, &name).map_err(|e| failed(&e))
}

/// Returns the names of the primary key's columns, in key order.
fn keys(connection: &Connection, target: &str, table: &str, stop: &Stop) -> Result<Vec<String>> {
    let Some((schema, name)) = origin(connection, target, stop)? else {
        return Err(Error::configuration(format!("{table} is no table")));
    };
    let mut columns = catalog::columns(connection, &schema, &name).map_err(|e| failed(&e))?;
    columns.retain(|column| column.in_key > 0);
    columns.sort_by_key(|column| column.in_key);
    Ok(columns.into_iter().map(|column| column.name).collect())
}

/// Returns the ON CONFLICT clause of an INSERT that replaces rows with the same primary key.
fn replacing(table: &str, keys: &[String], columns: &[Column]) -> Result<String> {
    let given: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    reject_missing_keys(table, keys, &given)?;
    let is_key = |name: &str| keys.iter().any(|key| key == name);
    let quoted = |name: &str| DIALECT.quoted(name);
    let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
    let others = columns.iter().filter(|column| !is_key(&column.name));
    let changes: Vec<String> = others
        .map(|column| format!("{name} = excluded.{name}", name = quoted(&column.name)))
        .collect();
    let change = match changes.join(", ") {
        changes if changes.is_empty() => "NOTHING".to_owned(),
        changes => format!("UPDATE SET {changes}"),
    };
    Ok(format!(" ON CONFLICT ({}) DO {change}", keys.join(", ")))
}

fn insert_rows(
    connection: &Connection,
    sql: &str,
    columns: &mut [Column],
    frame: &Frame,
    stop: &Stop,
) -> Result<u64> {
    let mut cursor = Cursor::prepare(connection, sql, stop)?;
    let (mut number, mut written) = (0, 0);
    for piece in frame.pieces() {
        let (height, cells) = piece?;
        for row in 0..height {
            number += 1;
            let values = columns.iter_mut().zip(&cells).map(|(column, cells)| {
                let cell = match cells.get(row) {
                    Ok(None) if column.is_rowid => Err(CellError::new(
                        None,
                        "a NULL, in whose place SQLite would store a number of its own",
                        "leave the column out, or give the value",
                    )),
                    Ok(None) => Ok(Cell::Null),
                    Ok(Some(value)) if column.reads_as_datetime && is_too_fine(&value) => {
                        Err(too_fine(&value))
                    }
                    Ok(Some(value)) => cell(&value, column.affinity, column.utc, &mut column.text),
                    Err(error) => Err(error),
                };
                cell.map_err(|error| error.at(&column.name, &column.declared_type, Some(number)))
            });
            cursor.run(values, number)?;
            written += connection.changes();
            if number % ROWS_BETWEEN_CHECKS == 0 {
                stop.check()?;
            }
        }
    }
    Ok(written)
}

/// Converts a value to one of SQLite's, or returns an error if the column would change it.
fn cell<'a>(
    value: &Scalar<'a>,
    affinity: Affinity,
    utc: bool,
    text: &'a mut String,
) -> CellResult<Cell<'a>> {
    text.clear();
    match *value {
        Scalar::Boolean(value) => return Ok(Cell::Integer(value.into())),
        Scalar::Integer(number) if affinity != Affinity::Real || is_float(number) => {
            return Ok(Cell::Integer(number));
        }
        Scalar::Integer(_) => return Err(too_long(value)),
        Scalar::Float32(value) => return real(value.into()),
        Scalar::Float64(value) => return real(value),
        Scalar::Text(text) => return written(text, affinity).ok_or_else(|| no_text(value)),
        Scalar::Bytes(bytes) => return Ok(Cell::Blob(bytes)),
        Scalar::Decimal { unscaled, scale } if affinity != Affinity::Text => {
            return match (scale, i64::try_from(unscaled), float64(value)) {
                (0, Ok(number), _) if affinity != Affinity::Real || is_float(number) => {
                    Ok(Cell::Integer(number))
                }
                (_, _, Some(float))
                    if unscaled.unsigned_abs() < 10_u128.pow(FLOAT_DIGITS.into()) =>
                {
                    Ok(Cell::Real(float))
                }
                _ => Err(too_long(value)),
            };
        }
        Scalar::Decimal { .. } => *text = value.to_string(),
        Scalar::Date(days) => iso::write_date(days, text).ok_or_else(|| no_year(value))?,
        Scalar::Time(nanoseconds) => iso::write_time(nanoseconds, text),
        Scalar::Datetime {
            seconds,
            nanoseconds,
        } => {
            let written = iso::write_datetime(seconds, nanoseconds, text);
            written.ok_or_else(|| no_year(value))?;
            if utc {
                text.push_str("+00:00");
            }
        }
        Scalar::Number(_) | Scalar::Duration(_) => {
            return Err(CellError::new(
                value.to_string(),
                "has no place in SQLite",
                "convert it",
            ));
        }
    }
    Ok(Cell::Text(text.as_bytes()))
}

/// Returns whether a float can represent the integer exactly.
fn is_float(number: i64) -> bool {
    exact_float64(&Scalar::Integer(number)).is_some()
}

/// Returns the text as a value of SQLite's; `None` if the column would turn it into a number that
/// is written differently.
fn written(text: &[u8], affinity: Affinity) -> Option<Cell<'_>> {
    // SQLite's white space, which includes the vertical tab.
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let first = text.iter().find(|byte| !is_blank(byte));
    let may_be_number = first.is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.'));
    if matches!(affinity, Affinity::Numeric | Affinity::Real) && may_be_number {
        // SQLite parses the text only up to the first NUL.
        let seen = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let seen = std::str::from_utf8(seen).ok()?;
        let seen = seen.trim_matches(|character: char| {
            u8::try_from(character).is_ok_and(|byte| is_blank(&byte))
        });
        if let Ok(float) = seen.parse::<f64>() {
            let is_kept = match seen.parse::<i64>() {
                Ok(number) => {
                    number.to_string().as_bytes() == text
                        && (affinity != Affinity::Real || is_float(number))
                }
                // A whole number such as `1.0` would lose its point, and other floats their
                // exponent.
                Err(_) => float.fract() != 0.0 && float.to_string().as_bytes() == text,
            };
            is_kept.then_some(())?;
        }
    }
    Some(Cell::Text(text))
}

#[cold]
fn no_text(value: &Scalar) -> Box<CellError> {
    CellError::new(
        value.to_string(),
        "would become another number in this column",
        "write it into a column declared as TEXT",
    )
}

#[cold]
fn too_long(value: &Scalar) -> Box<CellError> {
    CellError::new(
        value.to_string(),
        "has more digits than SQLite's numbers keep",
        "write it as a text, or into a column declared as TEXT",
    )
}

/// Returns whether a datetime is finer than microseconds, with which a column of datetimes is read.
fn is_too_fine(value: &Scalar) -> bool {
    matches!(value, Scalar::Datetime { nanoseconds, .. } if nanoseconds % 1000 != 0)
}

#[cold]
fn too_fine(value: &Scalar) -> Box<CellError> {
    CellError::new(
        value.to_string(),
        "is finer than the microseconds that this column is read with",
        "truncate it, as by dt.truncate(\"1us\"), or write it into a column declared as TEXT",
    )
}

fn real(value: f64) -> CellResult<Cell<'static>> {
    if value.is_nan() {
        return Err(CellError::new(
            "NaN".to_owned(),
            "would become NULL in SQLite",
            "make it NULL by fill_nan(None), if that is meant",
        ));
    }
    Ok(Cell::Real(value))
}

fn no_year(value: &Scalar) -> Box<CellError> {
    CellError::new(
        value.to_string(),
        "is not in the years 0 to 9999, which SQLite's functions read",
        "write it as a text",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_core::prelude::{DataFrame, NamedFrom, Series};

    /// Texts are bound without a copy, from the frame or from a buffer that the next row reuses:
    /// each row must store its own values.
    #[test]
    fn every_row_keeps_its_own_values() {
        let numbers: Vec<i32> = (0..5000).collect();
        let texts: Vec<String> = (0..5000).map(|number| "x".repeat(number % 40)).collect();
        let days = Series::new("day".into(), &numbers);
        let days = days
            .cast(&polars_core::prelude::DataType::Date)
            .expect("days");
        let bytes: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let columns = vec![
            Series::new("number".into(), &numbers).into(),
            Series::new("text".into(), &texts).into(),
            Series::new("bytes".into(), bytes).into(),
            days.into(),
        ];
        let frame = DataFrame::new(numbers.len(), columns).expect("a frame");
        let frame = Frame::new(frame).expect("columns");
        let connection = Connection::open_in_memory().expect("memory");
        connection
            .execute_batch("CREATE TABLE t (number INTEGER, text TEXT, bytes BLOB, day DATE)")
            .expect("a table");
        let stop = Stop::default();
        let written = insert(&connection, "t", &frame, OnConflict::Error, &stop).expect("rows");
        assert_eq!(written, 5000);
        let sql = "SELECT count(*) FROM t WHERE length(text) = number % 40 AND CAST(bytes AS TEXT) = text \
                   AND day = date(number * 86400, 'unixepoch')";
        let same: i64 = connection
            .query_row(sql, [], |row| row.get(0))
            .expect("a count");
        assert_eq!(same, 5000);
    }
}
