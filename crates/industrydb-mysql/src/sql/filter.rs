//! Translates a caller's filters into SQL conditions that keep every row that Polars would keep.

use industrydb_core::narrow::{Bind, Comparison, Kept, Part, Test, Written};
use industrydb_core::{Field, Value};

use crate::sql::dialect::quoted;
use crate::sql::keys::base;

/// Translates a test of a column of the derived table `q` into SQL; `None` if the server could drop a
/// row that Polars would keep. The character set is that of a stored text, as far as it is known.
pub(crate) fn written(
    field: &Field,
    charset: Option<&str>,
    test: &Test,
    bind: Bind,
) -> Option<Written> {
    let name = format!("q.{}", quoted(&field.name));
    let base = base(&field.database_type);
    Some(match test {
        Test::IsNull => {
            // With zero_dates=null, a date that no calendar has becomes a NULL, which the server
            // does not see.
            if matches!(base, "date" | "datetime" | "timestamp") {
                return None;
            }
            (format!("{name} IS NULL"), Kept::Same)
        }
        _ if field.is_converted() || is_rounded(&field.database_type) => return None,
        Test::Compare(comparison, value) => {
            let kept = accepted(base, value)?;
            // A collation treats some different texts as equal, and sorts texts in its own order.
            if kept == Kept::More && *comparison != Comparison::Equal {
                return None;
            }
            let name = comparable(name, charset, std::slice::from_ref(value));
            let value = bind(value.clone());
            (format!("{name} {} {value}", comparison.sign()), kept)
        }
        Test::In(values) => {
            let kept: Option<Vec<Kept>> =
                values.iter().map(|value| accepted(base, value)).collect();
            let kept = kept?.first().copied()?;
            let name = comparable(name, charset, values);
            let values: Vec<String> = values.iter().map(|value| bind(value.clone())).collect();
            (format!("{name} IN ({})", values.join(", ")), kept)
        }
        Test::Contains(..) => return None,
        Test::Part(part, comparison, number) => {
            let has_part = match base {
                "date" => matches!(part, Part::Year | Part::Month | Part::Day),
                "datetime" | "timestamp" => true,
                _ => false,
            };
            let number = bind(Value::Integer(*number));
            let sql = format!(
                "{}({name}) {} {number}",
                part.name().to_uppercase(),
                comparison.sign()
            );
            return has_part.then_some((sql, Kept::Same));
        }
    })
}

/// Returns whether the server may store other floats than are read, as of `double(10,2)`.
fn is_rounded(database_type: &str) -> bool {
    matches!(base(database_type), "float" | "double") && database_type.contains('(')
}

/// Returns the column as the server compares it with these values as they are read. It refuses a text
/// with a character that the column's character set does not have, and some sets have several codes
/// that are read as one character, or some that are read as `?`.
fn comparable(name: String, charset: Option<&str>, values: &[Value]) -> String {
    let is_same = |text: &str| match charset {
        Some("utf8mb4") => true,
        Some("utf8mb3" | "utf8" | "latin1") => text.is_ascii(),
        Some("ascii") => text.is_ascii() && !text.contains('?'),
        _ => false,
    };
    let is_other = |value: &Value| matches!(value, Value::Text(text) if !is_same(text));
    if values.iter().any(is_other) {
        return format!("CONVERT({name} USING utf8mb4)");
    }
    name
}

/// Returns whether values of a type are texts, which are compared with texts.
pub(crate) fn is_text(database_type: &str) -> bool {
    matches!(base(database_type), "char" | "varchar" | "text" | "enum")
}

/// Tells whether equality with a value keeps the same rows or a superset; `None` if the server
/// would not compare the values themselves.
fn accepted(base: &str, value: &Value) -> Option<Kept> {
    match (base, value) {
        // With EMPTY_STRING_IS_NULL, an empty text would be NULL, and equal to nothing.
        (_, Value::Text(text)) if text.is_empty() => None,
        // Compared with a year, 50 is 2050, and 95 is 1995.
        ("year", Value::Integer(year)) => (1901..=2155).contains(year).then_some(Kept::Same),
        ("tinyint" | "smallint" | "mediumint" | "int" | "bigint", Value::Integer(_))
        | ("decimal", Value::Integer(_) | Value::Decimal(_))
        | ("double", Value::Float(_))
        | ("date" | "datetime" | "timestamp", Value::Temporal(_)) => Some(Kept::Same),
        ("char" | "varchar" | "text" | "enum", Value::Text(_)) => Some(Kept::More),
        _ => None,
    }
}
