//! Literals of keys, by which a query is cut.

use industrydb_core::{Value, iso};

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

/// The column by which a query is divided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// Type as messages name it.
    pub(crate) type_name: String,
    /// Character set and collation of a text.
    pub(crate) texts: Option<(String, String)>,
    /// Whether the server compares texts otherwise in an index than in rows.
    pub(crate) differs_in_index: bool,
}

impl Key {
    /// Returns whether the keys are texts, which a collation puts in order.
    pub(crate) fn is_text(&self) -> bool {
        matches!(base(&self.type_name), "char" | "varchar" | "text")
    }

    /// Returns the expression that prints a key.
    pub(crate) fn printed(&self, key: &str) -> String {
        match base(&self.type_name) {
            "binary" | "varbinary" | "blob" => format!("HEX({key})"),
            "bit" => format!("{key} + 0"),
            // All digits, and not only those of a `double(10,2)`, which may store the number's
            // neighbour.
            "float" | "double" => format!("{key} + 0e0"),
            _ => key.to_owned(),
        }
    }

    /// Returns the expression of a key that is compared with a cut, where an index would compare
    /// otherwise: years with another number than the rows, and characters before the blank in another
    /// order.
    pub(crate) fn compared(&self, key: String) -> String {
        match base(&self.type_name) {
            "year" => format!("{key} + 0"),
            _ if self.differs_in_index => format!("CONCAT({key})"),
            _ => key,
        }
    }

    /// Returns the literal of a cut, which the server compares with keys as keys with each other.
    pub(crate) fn literal(&self, value: &Value) -> String {
        let base = base(&self.type_name);
        let is_float = matches!(base, "float" | "double");
        match value {
            Value::Integer(value) if is_float => float(&value.to_string()),
            Value::Decimal(text) | Value::Text(text) if is_float => float(text),
            Value::Integer(value) => value.to_string(),
            Value::Boolean(value) => u8::from(*value).to_string(),
            Value::Float(value) if is_float => format!("{value:e}"),
            // Exact numbers are not compared as floats, of which one may stand for several of them.
            Value::Float(value) => value.to_string(),
            Value::Decimal(digits) => number(digits),
            Value::Temporal(text) => moment(text),
            Value::Bytes(bytes) => format!("x'{}'", hex(bytes)),
            Value::Text(text) => match base {
                "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "bit"
                | "decimal" => number(text),
                "date" | "datetime" | "timestamp" | "time" => moment(text),
                "binary" | "varbinary" | "blob" => format!("x'{}'", hex_digits(text)),
                "uuid" | "inet4" | "inet6" => format!("CAST({} AS {base})", string(text)),
                _ => self.text(text),
            },
            Value::Null | Value::Duration { .. } | Value::List(_) => "NULL".to_owned(), // never a bound
        }
    }

    /// Returns the literal of a text, which has the keys' collation: the server would choose another
    /// one for the comparison with an expression, or with a text of another character set.
    fn text(&self, text: &str) -> String {
        let text = string(text);
        match &self.texts {
            Some((charset, collation)) if charset == "utf8mb4" => {
                format!("{text} COLLATE {collation}")
            }
            Some((charset, collation)) if charset != "binary" => {
                format!("CONVERT({text} USING {charset}) COLLATE {collation}")
            }
            _ => text,
        }
    }
}

/// Returns whether a printed key is a date that no calendar has, which servers do not compare with.
pub(crate) fn is_in_no_calendar(key_type: &str, key: &str) -> bool {
    matches!(base(key_type), "date" | "datetime" | "timestamp")
        && (key.starts_with("0000-") || iso::datetime(key.as_bytes()).is_none())
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

/// Returns the literal of a date, a time or both. A mere text would be compared as a text with some
/// expressions.
fn moment(text: &str) -> String {
    let is_part = |c: &char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | ' ' | '+');
    let text: String = text.replace('T', " ").chars().filter(is_part).collect();
    let text = text.trim_end_matches("+00:00"); // sessions are in UTC
    let kind = match (text.contains(' '), text.contains(':')) {
        (true, _) => "TIMESTAMP",
        (false, true) => "TIME",
        (false, false) => "DATE",
    };
    format!("{kind}'{text}'")
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
        for (value, type_name, expected) in [
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
            (Value::Float(0.5), "float", "5e-1"),
            (
                Value::Float(9_007_199_254_740_996.0),
                "decimal(20,0)",
                "9007199254740996",
            ),
            (
                text("2024-02-29 23:59:59"),
                "datetime(6)",
                "TIMESTAMP'2024-02-29 23:59:59'",
            ),
            (text("-838:59:59"), "time", "TIME'-838:59:59'"),
            (text("2024-02-29"), "date", "DATE'2024-02-29'"),
            (
                Value::Temporal("2024-02-29T01:00:00".to_owned()),
                "datetime",
                "TIMESTAMP'2024-02-29 01:00:00'",
            ),
            (text("it's"), "varchar", "_utf8mb4 x'69742773'"),
            (text("00FF"), "varbinary", "x'00FF'"),
            (text("::1"), "inet6", "CAST(_utf8mb4 x'3a3a31' AS inet6)"),
        ] {
            let key = Key {
                type_name: type_name.to_owned(),
                ..Key::default()
            };
            assert_eq!(key.literal(&value), expected, "{type_name}");
        }
    }

    #[test]
    fn texts_have_the_collation_of_the_keys() {
        for (charset, collation, expected) in [
            (
                "utf8mb4",
                "utf8mb4_bin",
                "_utf8mb4 x'61' COLLATE utf8mb4_bin",
            ),
            (
                "latin1",
                "latin1_swedish_ci",
                "CONVERT(_utf8mb4 x'61' USING latin1) COLLATE latin1_swedish_ci",
            ),
            ("binary", "binary", "_utf8mb4 x'61'"),
        ] {
            let key = Key {
                texts: Some((charset.to_owned(), collation.to_owned())),
                ..Key::default()
            };
            assert_eq!(key.literal(&Value::Text("a".to_owned())), expected);
        }
    }
}
