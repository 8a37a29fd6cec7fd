//! SQLite's SQL dialect: its tokens, keywords, literals and quoted names.

use std::fmt::Write;

use industrydb_core::Value;
use industrydb_core::dialect::{Dialect, limit_offset};
use industrydb_core::tokens::Lexicon;

use crate::types::type_name;

/// SQLite's rules for splitting a query into tokens. <https://www.sqlite.org/lang_comment.html>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`'), (b'[', b']')],
    line_ends: b"\n",
    nested_comments: false,
    hash_comments: false,
    backslash_in: b"",
    escape_and_dollar_strings: false,
    sigils: b"",
};

/// SQLite's quotes, placeholders and statements for work on a table.
pub(crate) const DIALECT: Dialect = Dialect {
    // In double quotes, SQLite would read a name that no column has as a string.
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
    rename_tables: None,
    type_name,
    folds_names: true,
    most_values: 32_766,
    longest_name: None,
    functions: "",
};

/// Returns the value as an SQL literal that evaluates to exactly this value.
pub(super) fn literal(value: &Value) -> String {
    match value {
        // SQLite reads `-9223372036854775808` as the negation of an integer that is too large.
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
        Value::Null | Value::List(_) => "NULL".to_owned(), // never a bound
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

/// Returns a column of the derived table `q`. With the `q.` in front, SQLite never reads an unknown
/// name as a string.
pub(crate) fn column(name: &str) -> String {
    format!("q.{}", quoted(name))
}

/// Returns the name in double quotes, whatever characters it contains.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

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
