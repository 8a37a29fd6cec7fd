//! What is put around a query, in SQLite's SQL.

use std::fmt::Write;

use industrydb_core::Value;
use industrydb_core::dialect::{Dialect, limit_offset};
use industrydb_core::tokens::Lexicon;

use crate::plan::Table;
use crate::types::type_name;

/// How SQLite divides a query into tokens. <https://www.sqlite.org/lang_comment.html>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`'), (b'[', b']')],
    line_ends: b"\n",
    nested_comments: false,
    escape_and_dollar_strings: false,
    sigils: b"",
};

/// What is put around names and values in statements on a table.
pub(crate) const DIALECT: Dialect = Dialect {
    // In the standard's quotes, a name that no column has would be a text.
    quotes: ('`', '`'),
    lexicon: LEXICON,
    placeholder: |_| "?".to_owned(),
    named: Some(':'),
    window: limit_offset,
    begin: "BEGIN IMMEDIATE",
    commit: "COMMIT",
    rollback: "ROLLBACK",
    savepoint: "SAVEPOINT",
    release: Some("RELEASE"),
    rollback_to: "ROLLBACK TO",
    type_name,
    folds_names: true,
    most_values: 32_766,
    longest_name: None,
    functions: "",
};

/// A table that no database has.
pub(crate) const NO_TABLE: &str = "industrydb: no such table";

/// The rows whose key lies in a range: the first one takes the NULLs, the ends are open.
///
/// The arms of a compound query may give the key different affinities, by which SQLite would compare
/// one predicate inside the arms and another one outside: rows would fall between them. And an expression's
/// affinity may turn cuts that are numbers into texts, which have another order. Where the key is to be compared
/// `bare`, a `+` takes the affinity away, and with it the use of an index.
pub(crate) fn range(
    query: &str,
    key: &str,
    bare: bool,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let key = if bare { "+" } else { "" }.to_owned() + &column(key);
    let condition = match (lower, upper) {
        (None, None) => return query.to_owned(),
        (None, Some(upper)) => format!("{key} < {} OR {key} IS NULL", literal(upper)),
        (Some(lower), None) => format!("{key} >= {}", literal(lower)),
        (Some(lower), Some(upper)) => {
            format!("{key} >= {} AND {key} < {}", literal(lower), literal(upper))
        }
    };
    // The line break ends a comment that may end the query.
    format!("{} WHERE {condition}", derived(query))
}

/// The rows in a range of the table's rowids, or of its primary key's first column. A common table
/// expression takes the place of the table, whose name must stand in the query without its schema.
pub(crate) fn rows(
    query: &str,
    table: &Table,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let key = table.key.first().map(|key| quoted(key)).unwrap_or_default();
    let from = lower.map(|value| format!("{key} >= {}", literal(value)));
    let to = upper.map(|value| format!("{key} < {}", literal(value)));
    let conditions: Vec<String> = from.into_iter().chain(to).collect();
    let rows = format!("WHERE {}", conditions.join(" AND "));
    in_place_of(table, &rows, &derived(query))
}

/// The query for a statement whose condition is on an expression of its rows, which may fail for those that the query leaves
/// out: a LIMIT keeps SQLite from trying it on them.
pub(crate) fn evaluated_first(query: &str) -> String {
    format!("SELECT * FROM (\n{query}\n) LIMIT -1 OFFSET 0")
}

/// The rows of a query as those of a derived table.
pub(crate) fn derived(query: &str) -> String {
    format!("SELECT * FROM (\n{query}\n) AS q")
}

/// A statement in which a table's name stands for some of its rows.
fn in_place_of(table: &Table, rows: &str, statement: &str) -> String {
    let (database, name) = (quoted(&table.database), quoted(&table.name));
    format!("WITH {name} AS (SELECT * FROM {database}.{name} {rows}) {statement}")
}

/// Fails to compile if, and only if, a common table expression takes the place of the table.
pub(crate) fn replaced(query: &str, table: &Table) -> String {
    let (name, missing) = (quoted(&table.name), quoted(NO_TABLE));
    format!(
        "WITH {name} AS (SELECT * FROM {missing}) {}",
        derived(query)
    )
}

/// A statement in which the table's name stands for a copy of it.
pub(crate) fn all_rows_first(query: &str, table: &Table) -> String {
    let (database, name) = (quoted(&table.database), quoted(&table.name));
    format!(
        "WITH {name} AS MATERIALIZED (SELECT * FROM {database}.{name}) {}",
        derived(query)
    )
}

/// Keys with their numbers, NULL first, of the query on the rows of the table with these keys.
pub(crate) fn keys_of_rows(
    query: &str,
    key: &str,
    table: &Table,
    row_keys: &[Vec<Value>],
) -> String {
    in_place_of(table, &among(table, row_keys), &keys(query, key, 1))
}

/// The values of the column by which a table's rows are split, of rows with these keys.
pub(crate) fn row_keys(table: &Table, row_keys: &[Vec<Value>]) -> String {
    let key = table.key.first().map(|key| quoted(key)).unwrap_or_default();
    let (database, name) = (quoted(&table.database), quoted(&table.name));
    let rows = among(table, row_keys);
    format!("SELECT {key}, count(*) FROM {database}.{name} {rows} GROUP BY 1 ORDER BY 1")
}

fn among(table: &Table, row_keys: &[Vec<Value>]) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let names = list(table.key.iter().map(|name| quoted(name)).collect());
    let row = |key: &Vec<Value>| format!("({})", list(key.iter().map(literal).collect()));
    let rows = list(row_keys.iter().map(row).collect());
    format!("WHERE ({names}) IN (VALUES {rows})")
}

/// Keys with their numbers, NULL first, of one in `every` rows of the query, chosen at random.
pub(crate) fn keys(query: &str, key: &str, every: i64) -> String {
    let key = column(key);
    let some = if every > 1 {
        format!(" WHERE random() % {every} = 0")
    } else {
        String::new()
    };
    format!("SELECT {key}, count(*) FROM (\n{query}\n) AS q{some} GROUP BY {key} ORDER BY {key}")
}

/// The number of the query's rows.
pub(crate) fn count(query: &str) -> String {
    format!("SELECT count(*) FROM (\n{query}\n) AS q")
}

/// A value that is equal to itself only.
fn literal(value: &Value) -> String {
    match value {
        // The smallest integer is no literal, but an expression on one that is too large.
        Value::Integer(i64::MIN) => "(-9223372036854775807 - 1)".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Boolean(value) => i32::from(*value).to_string(),
        Value::Float(value) if value.is_infinite() => {
            if *value > 0.0 { "9e999" } else { "-9e999" }.to_owned()
        }
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) | Value::Temporal(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Decimal(digits) => digits.clone(),
        Value::Bytes(bytes) => blob(bytes),
        Value::Duration { microseconds } => microseconds.to_string(),
        Value::Null | Value::List(_) => "NULL".to_owned(), // no cut is one
    }
}

fn blob(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len() + 3);
    hex.push_str("x'");
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
    }
    hex + "'"
}

/// A column of the query's. With the `q.` in front, SQLite never takes a name that it does not know for
/// a text.
pub(crate) fn column(name: &str) -> String {
    format!("q.{}", quoted(name))
}

/// A name as it is, whatever characters it has.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_open_at_both_ends_and_the_first_takes_the_nulls() {
        let (low, high) = (Value::Integer(i64::MIN), Value::Float(1e300));
        for (lower, upper, condition) in [
            (
                None,
                Some(&low),
                "q.\"a \"\"b\"\"\" < (-9223372036854775807 - 1) OR q.\"a \"\"b\"\"\" IS NULL",
            ),
            (
                Some(&Value::Integer(-5)),
                Some(&high),
                "q.\"a \"\"b\"\"\" >= -5 AND q.\"a \"\"b\"\"\" < 1e300",
            ),
            (Some(&high), None, "q.\"a \"\"b\"\"\" >= 1e300"),
        ] {
            assert_eq!(
                range("SELECT 1", "a \"b\"", false, lower, upper),
                format!("SELECT * FROM (\nSELECT 1\n) AS q WHERE {condition}")
            );
        }
        assert_eq!(range("SELECT 1", "a", false, None, None), "SELECT 1");
        assert!(
            range("SELECT 1", "a", true, Some(&high), None).ends_with("WHERE +q.\"a\" >= 1e300")
        );
    }

    #[test]
    fn literals_are_the_values_that_they_were() {
        let connection = rusqlite::Connection::open_in_memory().expect("memory");
        for (value, expected) in [
            (Value::Integer(i64::MIN), "integer:-9223372036854775808"),
            (Value::Float(0.1), "real:0.1"),
            (Value::Float(f64::INFINITY), "real:Inf"),
            (Value::Text("it's ä".to_owned()), "text:it's ä"),
            (Value::Decimal("-1.50".to_owned()), "real:-1.5"),
            (Value::Bytes(vec![0x41, 0x27]), "blob:A'"),
        ] {
            let value = literal(&value);
            let sql = format!("SELECT typeof({value}) || ':' || {value}");
            let found = connection.query_row(&sql, [], |row| row.get(0));
            assert_eq!(found, Ok(expected.to_owned()), "{sql}");
        }
    }
}
