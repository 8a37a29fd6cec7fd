//! Translates a caller's filters into T-SQL conditions that keep every row that Polars would keep.

use industrydb_core::narrow::{Bind, Comparison, Kept, Part, Test, Written};
use industrydb_core::{Field, Value};

use crate::sql::dialect::quoted;
use crate::types::base;

/// Translates a test of a column of the derived table `q` into T-SQL; `None` if SQL Server could
/// drop a row that Polars would keep. The column must be a table's: the server may evaluate a test
/// of an expression on rows that the query's own conditions exclude, and fail there.
pub(crate) fn written(field: &Field, test: &Test, bind: Bind) -> Option<Written> {
    let name = format!("q.{}", quoted(&field.name));
    let base = base(&field.database_type);
    Some(match test {
        Test::IsNull => (format!("{name} IS NULL"), Kept::Same),
        _ if field.is_converted() => return None,
        Test::Compare(comparison, value) => {
            let kept = accepted(base, value)?;
            // A collation treats some different texts as equal, and sorts texts in its own order.
            if kept == Kept::More && *comparison != Comparison::Equal {
                return None;
            }
            let value = bind(value.clone());
            (format!("{name} {} {value}", comparison.sign()), kept)
        }
        Test::In(values) => {
            let kept: Option<Vec<Kept>> =
                values.iter().map(|value| accepted(base, value)).collect();
            let kept = kept?.first().copied()?;
            let values: Vec<String> = values.iter().map(|value| bind(value.clone())).collect();
            (format!("{name} IN ({})", values.join(", ")), kept)
        }
        Test::Contains(..) => return None,
        Test::Part(part, comparison, number) => {
            let has_part = match base {
                "date" => matches!(part, Part::Year | Part::Month | Part::Day),
                "datetime2" | "smalldatetime" => true,
                _ => false,
            };
            let number = bind(Value::Integer(*number));
            let sql = format!(
                "DATEPART({}, {name}) {} {number}",
                part.name(),
                comparison.sign()
            );
            return has_part.then_some((sql, Kept::Same));
        }
    })
}

/// Tells whether equality with a value keeps the same rows or a superset; `None` if the server
/// would not compare the values themselves.
fn accepted(base: &str, value: &Value) -> Option<Kept> {
    match (base, value) {
        ("tinyint" | "smallint" | "int" | "bigint", Value::Integer(_))
        | ("decimal" | "numeric" | "money" | "smallmoney", Value::Integer(_) | Value::Decimal(_))
        | ("bit", Value::Boolean(_))
        | ("date", Value::Temporal(_)) => Some(Kept::Same),
        ("float", Value::Float(value)) if value.is_finite() => Some(Kept::Same),
        ("nvarchar" | "varchar" | "nchar" | "char", Value::Text(_)) => Some(Kept::More),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use industrydb_core::ColumnType;

    /// Translates a test of a column, with each parameter shown as its value in angle brackets.
    fn sql(database_type: &str, test: &Test) -> Option<Written> {
        let field = Field::new("a b", database_type, ColumnType::Int64);
        let mut bind = |value: Value| format!("<{value:?}>");
        written(&field, test, &mut bind)
    }

    #[test]
    fn only_what_loses_no_row_is_written() {
        use Comparison::{Equal, Less, Unequal};
        let integer = || Value::Integer(7);
        let text = || Value::Text("x".to_owned());
        for (database_type, test, expected) in [
            (
                "int",
                Test::Compare(Less, integer()),
                Some(("q.[a b] < <Integer(7)>", Kept::Same)),
            ),
            (
                "decimal(10,2)",
                Test::Compare(Equal, integer()),
                Some(("q.[a b] = <Integer(7)>", Kept::Same)),
            ),
            // Values of `datetime` are rounded when they are read, so the server would compare
            // other values.
            (
                "datetime",
                Test::Compare(Equal, Value::Temporal("2024-01-01".to_owned())),
                None,
            ),
            (
                "nvarchar(10)",
                Test::Compare(Equal, text()),
                Some((r#"q.[a b] = <Text("x")>"#, Kept::More)),
            ),
            ("nvarchar(10)", Test::Compare(Unequal, text()), None),
            ("nvarchar(10)", Test::Compare(Less, text()), None),
            (
                "varchar(max)",
                Test::In(vec![text()]),
                Some((r#"q.[a b] IN (<Text("x")>)"#, Kept::More)),
            ),
            ("uniqueidentifier", Test::Compare(Equal, text()), None),
            ("real", Test::Compare(Equal, Value::Float(0.5)), None),
            ("float", Test::Compare(Equal, Value::Float(f64::NAN)), None),
            ("int", Test::Compare(Equal, text()), None),
            ("xml", Test::IsNull, Some(("q.[a b] IS NULL", Kept::Same))),
            (
                "date",
                Test::Part(Part::Year, Less, 2024),
                Some(("DATEPART(year, q.[a b]) < <Integer(2024)>", Kept::Same)),
            ),
            ("date", Test::Part(Part::Hour, Less, 2), None),
            (
                "datetimeoffset(7)",
                Test::Part(Part::Year, Less, 2024),
                None,
            ),
        ] {
            let expected = expected.map(|(sql, kept)| (sql.to_owned(), kept));
            assert_eq!(
                sql(database_type, &test),
                expected,
                "{database_type} {test:?}"
            );
        }
    }
}
