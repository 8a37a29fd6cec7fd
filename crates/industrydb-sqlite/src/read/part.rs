//! Parses a partition's statement back into the query and the key range that it was built from.
//!
//! A plan's partitions are texts, which other processes read too. The parsed query and range are
//! put together again by [`derived::range`] or [`table::rows`], and are used only if that gives the
//! same text, and so the same meaning.

use industrydb_core::{Result, Stop, Value};
use rusqlite::Connection;

use super::shape::is_replaced;
use crate::ffi::cursor::Cursor;
use crate::ffi::errors::failed;
use crate::pages::table::{Key, Range};
use crate::session::catalog;
use crate::sql::table::Table;
use crate::sql::{derived, dialect, table};

/// Returns the query and the key range of a partition's statement; the statement itself and `None`
/// if no range is found.
///
/// # Errors
///
/// When the database fails.
pub(crate) fn taken_apart<'t>(
    connection: &Connection,
    text: &'t str,
    stop: &Stop,
) -> Result<(&'t str, Option<Range>)> {
    let part = match by_column(text) {
        Some((query, name, range)) => {
            key(connection, query, &name, stop)?.map(|key| (query, Range { key, ..range }))
        }
        None => by_row(connection, text, stop)?,
    };
    Ok(part.map_or((text, None), |(query, range)| (query, Some(range))))
}

/// Parses a partition by a column: the query, the name of the key, and the range, whose key is
/// still to be set.
fn by_column(text: &str) -> Option<(&str, String, Range)> {
    let (query, condition) = text
        .strip_prefix("SELECT * FROM (\n")?
        .rsplit_once("\n) AS q WHERE ")?;
    let (name, _) = quoted(condition.strip_prefix("q.")?)?;
    let (lower, upper) = bounds(condition, &dialect::column(&name))?;
    let again = derived::range(query, &name, false, lower.as_ref(), upper.as_ref());
    let range = Range {
        key: Key::Row,
        lower,
        upper,
    };
    (again == text).then_some((query, name, range))
}

/// Returns the result column of a name; `None` if no column has the name, or several have it.
fn key(connection: &Connection, query: &str, name: &str, stop: &Stop) -> Result<Option<Key>> {
    let Some(cursor) = Cursor::prepare_if_valid(connection, query, stop)? else {
        return Ok(None);
    };
    let columns = cursor.columns();
    let mut same =
        (0..columns.len()).filter(|index| columns[*index].name.eq_ignore_ascii_case(name));
    Ok(match (same.next(), same.next()) {
        (Some(index), None) => Some(Key::Column(index)),
        _ => None,
    })
}

/// Parses a partition by rows, where a common table expression replaces the table: the query and
/// the range.
fn by_row<'t>(
    connection: &Connection,
    text: &'t str,
    stop: &Stop,
) -> Result<Option<(&'t str, Range)>> {
    let Some((database, name, key, rest)) = head_of_rows(text) else {
        return Ok(None);
    };
    let Some((condition, query)) = rest.split_once(") SELECT * FROM (\n") else {
        return Ok(None);
    };
    let Some(query) = query.strip_suffix("\n) AS q") else {
        return Ok(None);
    };
    let Some((lower, upper)) = bounds(condition, &dialect::quoted(&key)) else {
        return Ok(None);
    };
    let table = catalog::table(connection, &database, &name).map_err(|e| failed(&e))?;
    let is_same = |table: &Table| table::rows(query, table, lower.as_ref(), upper.as_ref()) == text;
    let Some(table) = table.filter(is_same) else {
        return Ok(None);
    };
    // With its schema in front, the name would mean the table and not the common table expression.
    let has_its_rows = table.freed(query) == query
        && is_of(connection, query, &table, stop)?
        && is_replaced(connection, query, &table, stop)?;
    if !has_its_rows {
        return Ok(None);
    }
    let range = Range {
        key: Key::Row,
        lower,
        upper,
    };
    Ok(Some((query, range)))
}

/// Returns whether a query's columns are all this table's: without the common table expression, the
/// name may mean another database's table.
fn is_of(connection: &Connection, query: &str, table: &Table, stop: &Stop) -> Result<bool> {
    let Some(cursor) = Cursor::prepare_if_valid(connection, query, stop)? else {
        return Ok(false);
    };
    let is_its_own = |column| {
        let origin = cursor.origin(column);
        origin.is_some_and(|(database, name, _)| database == table.database && name == table.name)
    };
    Ok((0..cursor.column_count()).all(is_its_own))
}

/// Parses the beginning of a statement of [`table::rows`]: database, table, key, and the text from
/// the condition on.
fn head_of_rows(text: &str) -> Option<(String, String, String, &str)> {
    let (_, rest) = quoted(text.strip_prefix("WITH ")?)?;
    let (database, rest) = quoted(rest.strip_prefix(" AS (SELECT * FROM ")?)?;
    let (name, rest) = quoted(rest.strip_prefix('.')?)?;
    let condition = rest.strip_prefix(" WHERE ")?;
    let (key, _) = quoted(condition)?;
    Some((database, name, key, condition))
}

/// Parses the bounds of a condition on a key: `key < 5 OR key IS NULL`, `key >= 5`,
/// `key >= 5 AND key < 9`.
fn bounds(condition: &str, key: &str) -> Option<(Option<Value>, Option<Value>)> {
    let condition = condition.strip_prefix(key)?;
    if let Some(upper) = condition.strip_prefix(" < ") {
        let (upper, _) = literal(upper)?;
        return Some((None, Some(upper)));
    }
    let (lower, rest) = literal(condition.strip_prefix(" >= ")?)?;
    let upper = match rest.strip_prefix(" AND ") {
        Some(rest) => Some(literal(rest.strip_prefix(key)?.strip_prefix(" < ")?)?.0),
        None => None,
    };
    Some((Some(lower), upper))
}

/// Parses a literal: its value, and the text behind it.
fn literal(text: &str) -> Option<(Value, &str)> {
    for (sign, value) in [
        ("(-9223372036854775807 - 1)", Value::Integer(i64::MIN)),
        ("9e999", Value::Float(f64::INFINITY)),
        ("-9e999", Value::Float(f64::NEG_INFINITY)),
    ] {
        if let Some(rest) = text.strip_prefix(sign) {
            return Some((value, rest));
        }
    }
    if text.starts_with('\'') {
        let (value, rest) = between(text, '\'')?;
        return Some((Value::Text(value), rest));
    }
    if let Some(blob) = text.strip_prefix('x') {
        let (digits, rest) = between(blob, '\'')?;
        let pairs = digits.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        return Some((Value::Bytes(pairs.map(byte).collect::<Option<_>>()?), rest));
    }
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | 'e' | '-' | '+'));
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    let value = match number.parse() {
        Ok(integer) => Value::Integer(integer),
        Err(_) => Value::Float(number.parse().ok()?),
    };
    Some((value, rest))
}

/// Parses a name in double quotes: the name, and the text behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    between(text, '"')
}

/// Parses a quoted string, in which two quotes stand for one: its content, and the text behind it.
fn between(text: &str, quote: char) -> Option<(String, &str)> {
    let mut inside = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let (part, behind) = rest.split_once(quote)?;
        inside.push_str(part);
        match behind.strip_prefix(quote) {
            Some(more) => {
                inside.push(quote);
                rest = more;
            }
            None => return Some((inside, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        let script = "CREATE TABLE \"t \"\"1\"\"\" (\"k \"\" q.\" INTEGER, a); CREATE TABLE b (a); CREATE VIEW v AS SELECT * FROM b; \
                      CREATE TABLE w (x, y, PRIMARY KEY (y, x)) WITHOUT ROWID; ATTACH ':memory:' AS other; CREATE TABLE other.b (a)";
        connection.execute_batch(script).expect("valid");
        connection
    }

    fn values() -> Vec<Value> {
        let texts = [
            "",
            "it's",
            "\n) AS q WHERE q.\"a\" >= 5",
            ") SELECT * FROM (\n",
            "ä",
        ];
        let texts = texts.map(|text| Value::Text(text.to_owned()));
        let integers = [i64::MIN, -1, 0, i64::MAX].map(Value::Integer);
        let floats = [0.1, -0.0, 1e300, -1e-7, f64::INFINITY, f64::NEG_INFINITY].map(Value::Float);
        let blobs = [vec![], vec![0, 255]].map(Value::Bytes);
        texts
            .into_iter()
            .chain(integers)
            .chain(floats)
            .chain(blobs)
            .collect()
    }

    #[test]
    fn what_was_put_together_comes_apart() {
        let (connection, stop) = (connection(), Stop::default());
        let query = "SELECT \"k \"\" q.\", a FROM \"t \"\"1\"\"\" -- all";
        for value in values() {
            for (lower, upper) in [
                (Some(&value), None),
                (None, Some(&value)),
                (Some(&value), Some(&value)),
            ] {
                for (index, name) in ["k \" q.", "a"].into_iter().enumerate() {
                    let text = derived::range(query, name, false, lower, upper);
                    let (found, range) = taken_apart(&connection, &text, &stop).expect("compared");
                    // A value that contains such SQL may keep the partition from being parsed; it
                    // is stepped then.
                    let is_odd = matches!(&value, Value::Text(text) if text.contains("AS q"));
                    if let Some(range) = range {
                        assert_eq!((found, range.key), (query, Key::Column(index)), "{text}");
                        assert_eq!(
                            (range.lower.as_ref(), range.upper.as_ref()),
                            (lower, upper),
                            "{text}"
                        );
                    } else {
                        assert!(is_odd, "{text}");
                    }
                }
            }
        }
        let table = catalog::table(&connection, "main", "t \"1\"")
            .expect("found")
            .expect("a table");
        let five = Value::Integer(5);
        let text = table::rows(query, &table, Some(&five), None);
        let (found, range) = taken_apart(&connection, &text, &stop).expect("compared");
        assert_eq!(
            (found, range.map(|range| range.key)),
            (query, Some(Key::Row))
        );
    }

    #[test]
    fn what_means_something_else_stays_whole() {
        let (connection, stop) = (connection(), Stop::default());
        for text in [
            "SELECT * FROM b",
            "SELECT * FROM (\nSELECT a FROM b\n) AS q WHERE +q.\"a\" >= 5",
            "SELECT * FROM (\nSELECT a FROM b\n) AS q WHERE q.\"a\" >= 5 OR 1",
            "SELECT * FROM (\nSELECT a FROM b\n) AS q WHERE q.\"a\" >= 1.50",
            "SELECT * FROM (\nSELECT a FROM b\n) AS q WHERE q.\"c\" >= 5",
            "SELECT * FROM (\nSELECT a, a FROM b\n) AS q WHERE q.\"a\" >= 5",
            // The query does not read the table that the common table expression replaces.
            "WITH \"b\" AS (SELECT * FROM \"main\".\"b\" WHERE \"rowid\" >= 5) SELECT * FROM (\nSELECT * FROM main.b\n) AS q",
            "WITH \"b\" AS (SELECT * FROM \"main\".\"b\" WHERE \"rowid\" >= 5) SELECT * FROM (\nSELECT * FROM v\n) AS q",
            // Without the common table expression, the name no longer means the other database's
            // table.
            "WITH \"b\" AS (SELECT * FROM \"other\".\"b\" WHERE \"rowid\" >= 5) SELECT * FROM (\nSELECT a FROM b\n) AS q",
            "WITH \"w\" AS (SELECT * FROM \"main\".\"w\" WHERE \"x\" >= 5) SELECT * FROM (\nSELECT * FROM w\n) AS q",
        ] {
            let (found, range) = taken_apart(&connection, text, &stop).expect("compared");
            assert_eq!((found, range.is_none()), (text, true), "{text}");
        }
    }
}
