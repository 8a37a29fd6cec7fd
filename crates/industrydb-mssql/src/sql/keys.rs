//! Partition keys: their order, their text, and their literals.

use industrydb_core::Value;

use crate::sql::dialect::string;
use crate::types::{base, decimal};

/// Tests whether a type can be a partition key: its values have an order, and a text form that
/// converts back to the same value.
pub(crate) fn has_order(key_type: &str) -> bool {
    const ORDERED: [&str; 27] = [
        "bigint",
        "binary",
        "bit",
        "char",
        "date",
        "datetime",
        "datetime2",
        "datetimeoffset",
        "decimal",
        "float",
        "int",
        "money",
        "nchar",
        "numeric",
        "nvarchar",
        "real",
        "rowversion",
        "smalldatetime",
        "smallint",
        "smallmoney",
        "sysname",
        "time",
        "timestamp",
        "tinyint",
        "uniqueidentifier",
        "varbinary",
        "varchar",
    ];
    ORDERED.contains(&base(key_type))
}

/// Returns the expression that converts a key to text, which converts back to the same value.
/// <https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql>
pub(crate) fn printed(key_type: &str, value: &str) -> String {
    let style = match base(key_type) {
        "float" | "real" => 3,
        "money" | "smallmoney" => 2,
        // ISO 8601 with a T: with a blank instead, these two types depend on the login's language.
        "datetime" | "smalldatetime" => 126,
        "datetime2" | "datetimeoffset" | "date" | "time" => 121,
        "binary" | "varbinary" | "timestamp" | "rowversion" => {
            return format!("CONVERT(nvarchar(max), CAST({value} AS varbinary(8000)), 1)");
        }
        _ => 0,
    };
    format!("CONVERT(nvarchar(max), {value}, {style})")
}

/// Tests whether comparisons with cuts follow the keys' own order, in which a histogram is sorted.
pub(crate) fn keeps_order(key_type: &str) -> bool {
    ordered(key_type, "").is_empty()
}

/// Returns the expression to sort keys by, so that their order is that of comparisons with cuts.
/// Text cuts are `nvarchar`, which some collations sort differently from `varchar`.
pub(crate) fn ordered(key_type: &str, value: &str) -> String {
    match base(key_type) {
        "char" | "varchar" => format!("CAST({value} AS nvarchar(max))"),
        _ => value.to_owned(),
    }
}

/// Writes a cut as a literal that compares exactly with keys of a type.
pub(crate) fn literal(value: &Value, key_type: &str) -> String {
    let integer = |value: i64| format!("CAST({value} AS bigint)");
    let key_base = base(key_type);
    let is_integer = matches!(key_base, "tinyint" | "smallint" | "int" | "bigint");
    let (text, to) = match value {
        Value::Integer(value) => return integer(*value),
        Value::Float(value) => (format!("{value:?}"), "float".to_owned()),
        // The cut may have more digits than the key's type.
        Value::Decimal(text) => match decimal::plain(text) {
            Some(number) => (
                number.text,
                format!("decimal({},{})", number.precision, number.scale),
            ),
            None => (text.clone(), "float".to_owned()),
        },
        // The key's type may have fewer digits than the cut.
        Value::Temporal(text) if matches!(key_base, "datetime" | "smalldatetime") => {
            (text.clone(), "datetime2(7)".to_owned())
        }
        Value::Text(text) if is_integer => match text.parse() {
            Ok(value) => return integer(value),
            Err(_) => (text.clone(), "decimal(38,0)".to_owned()),
        },
        Value::Text(text) | Value::Temporal(text) => (text.clone(), key_type.to_owned()),
        _ => (String::new(), key_type.to_owned()), // cuts have no other kind
    };
    match key_base {
        "char" | "varchar" | "nchar" | "nvarchar" | "sysname" => string(&text),
        "binary" | "varbinary" | "timestamp" | "rowversion" => {
            format!("CONVERT(varbinary(8000), {}, 1)", string(&text))
        }
        _ => format!("CAST({} AS {to})", string(&text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_literals_of_the_keys_type() {
        for (text, key_type, expected) in [
            ("7", "tinyint", "CAST(7 AS bigint)"),
            (
                "-9223372036854775808",
                "bigint",
                "CAST(-9223372036854775808 AS bigint)",
            ),
            (
                "9223372036854775808",
                "bigint",
                "CAST(N'9223372036854775808' AS decimal(38,0))",
            ),
            (
                "2024-01-01",
                "datetime2(7)",
                "CAST(N'2024-01-01' AS datetime2(7))",
            ),
            (
                "0xff",
                "varbinary(8)",
                "CONVERT(varbinary(8000), N'0xff', 1)",
            ),
            ("it's", "nvarchar(5)", "N'it''s'"),
        ] {
            assert_eq!(literal(&Value::Text(text.to_owned()), key_type), expected);
        }
        for (value, key_type, expected) in [
            (
                Value::Temporal("2024-01-01 00:00:00.123456".to_owned()),
                "datetime",
                "CAST(N'2024-01-01 00:00:00.123456' AS datetime2(7))",
            ),
            (Value::Float(5e-6), "decimal(5,2)", "CAST(N'5e-6' AS float)"),
            (
                Value::Decimal("-1.5E+3".to_owned()),
                "money",
                "CAST(N'-1500' AS decimal(4,0))",
            ),
            (
                Value::Decimal("0.05".to_owned()),
                "int",
                "CAST(N'0.05' AS decimal(2,2))",
            ),
        ] {
            assert_eq!(literal(&value, key_type), expected);
        }
    }
}
