//! Literals of keys, by which a query is cut.

use industrydb_core::Value;

use crate::sql::dialect::{hex, string};

/// Returns a type's name without its size and sign.
pub(crate) fn base(database_type: &str) -> &str {
    database_type
        .split(['(', ' '])
        .next()
        .unwrap_or(database_type)
}

/// Returns whether values of a type are sorted as they are compared with a literal. The values of an
/// `enum` are sorted by their numbers, and compared with a text by their names.
pub(crate) fn has_order(database_type: &str) -> bool {
    !matches!(
        base(database_type),
        "enum" | "set" | "json" | "geometry" | "vector" | "null"
    )
}

/// Returns the expression that prints a key.
pub(crate) fn printed(key_type: &str, key: &str) -> String {
    match base(key_type) {
        "binary" | "varbinary" | "blob" => format!("HEX({key})"),
        "bit" => format!("{key} + 0"),
        // All digits, and not only those of a `double(10,2)`, which may store the number's neighbour.
        "float" | "double" => format!("{key} + 0e0"),
        _ => key.to_owned(),
    }
}

/// Returns the expression of a key that is compared with a cut. A number that is no year is compared
/// with an index of years as another number than with the rows.
pub(crate) fn compared(key_type: &str, key: String) -> String {
    match base(key_type) {
        "year" => format!("{key} + 0"),
        _ => key,
    }
}

/// Returns whether a printed key is a date that no calendar has, which MySQL does not compare with.
pub(crate) fn is_in_no_calendar(key_type: &str, key: &str) -> bool {
    matches!(base(key_type), "date" | "datetime" | "timestamp")
        && (key.starts_with("0000-") || key.contains("-00"))
}

/// Returns the literal of a cut between keys of a type.
pub(crate) fn literal(value: &Value, key_type: &str) -> String {
    let is_float = matches!(base(key_type), "float" | "double");
    match value {
        Value::Integer(value) if is_float => float(&value.to_string()),
        Value::Decimal(text) | Value::Text(text) if is_float => float(text),
        Value::Integer(value) => value.to_string(),
        Value::Boolean(value) => u8::from(*value).to_string(),
        Value::Float(value) => format!("{value:e}"),
        Value::Decimal(digits) => number(digits),
        Value::Temporal(text) => moment(text),
        Value::Bytes(bytes) => format!("x'{}'", hex(bytes)),
        Value::Text(text) => match base(key_type) {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit"
            | "decimal" => number(text),
            "date" | "datetime" | "timestamp" | "time" => moment(text),
            "binary" | "varbinary" | "blob" => format!("x'{}'", hex_digits(text)),
            _ => string(text),
        },
        Value::Null | Value::Duration { .. } | Value::List(_) => "NULL".to_owned(), // never a bound
    }
}

/// Returns the characters of a number.
fn number(text: &str) -> String {
    let is_part = |c: &char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    text.chars().filter(is_part).collect()
}

/// Returns the literal of a float. One without an exponent is a decimal: the server takes a
/// `double(10,2)` for equal to it within half of the last digit, but not where it looks into an
/// index, so that a row could be on neither side of the cut.
fn float(text: &str) -> String {
    let number = number(text);
    if number.contains(['e', 'E']) {
        return number;
    }
    number + "e0"
}

/// Returns a date or time as a text in quotes, which the server reads as the key's type.
fn moment(text: &str) -> String {
    let is_part = |c: &char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | ' ' | '+');
    let text: String = text.replace('T', " ").chars().filter(is_part).collect();
    format!("'{text}'")
}

fn hex_digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_hexdigit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_literals_of_the_keys_type() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (value, key_type, expected) in [
            (Value::Integer(-3), "int", "-3"),
            (
                text("18446744073709551615"),
                "bigint unsigned",
                "18446744073709551615",
            ),
            (text("1.5e+20; DROP"), "double", "1.5e+20"),
            (
                text("-0.06999999999999995"),
                "double(10,2)",
                "-0.06999999999999995e0",
            ),
            (
                text("2024-02-29 23:59:59"),
                "datetime(6)",
                "'2024-02-29 23:59:59'",
            ),
            (
                Value::Temporal("2024-02-29T01:00:00".to_owned()),
                "datetime",
                "'2024-02-29 01:00:00'",
            ),
            (text("it's"), "varchar", "_utf8mb4 x'69742773'"),
            (text("00FF"), "varbinary", "x'00FF'"),
        ] {
            assert_eq!(literal(&value, key_type), expected, "{key_type}");
        }
    }
}
