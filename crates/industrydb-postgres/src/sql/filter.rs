//! The filter tests that PostgreSQL evaluates exactly as they are meant, and their SQL.

use industrydb_core::narrow::{Bind, Comparison, Kept, Part, Place, Test, Written};
use industrydb_core::{Field, Value};

use crate::sql::dialect::quoted;
use crate::types::order::{in_catalog, type_in_catalog};

/// Writes a test of a column of the query `q`; returns `None` if PostgreSQL might evaluate the test
/// differently. The column must be a table's: the test of an expression could be evaluated for rows
/// that the query's own conditions exclude, and fail.
pub(crate) fn written(field: &Field, test: &Test, bind: Bind) -> Option<Written> {
    let name = format!("q.{}", quoted(&field.name));
    let sql = match test {
        // `IS NULL` is true for a row of NULLs too, which is not NULL itself.
        Test::IsNull => format!("{name} IS NOT DISTINCT FROM NULL"),
        _ if field.is_converted() => return None,
        Test::Compare(comparison, value) => {
            let to = accepted(field, value)?;
            let value = format!("{}::{}", bind(value.clone()), type_in_catalog(to));
            compared(&name, *comparison, &value, to)
        }
        Test::In(values) => {
            let mut types = values.iter().map(|value| accepted(field, value));
            let to = types.next()??;
            if !types.all(|other| other == Some(to)) {
                return None;
            }
            let values = bind(Value::List(values.clone()));
            let any = format!("ANY ({values}::{}[])", type_in_catalog(to));
            compared(&name, Comparison::Equal, &any, to)
        }
        Test::Contains(place, part) => {
            let to = accepted(field, &Value::Text(part.clone()))?;
            let part = format!(
                "{}::{}",
                bind(Value::Text(part.clone())),
                type_in_catalog(to)
            );
            let name = format!("{name} {BY_BYTES}");
            match place {
                Place::Start => format!("pg_catalog.starts_with({name}, {part})"),
                Place::End => {
                    let length = format!("pg_catalog.length({part})");
                    let end = format!("pg_catalog.right({name}, {length})");
                    format!("{end} {} {part}", in_catalog("="))
                }
                Place::Anywhere => {
                    format!("pg_catalog.strpos({name}, {part}) {} 0", in_catalog(">"))
                }
            }
        }
        Test::Part(part, comparison, number) => {
            let name = match field.database_type.as_str() {
                "date" if matches!(part, Part::Year | Part::Month | Part::Day) => name,
                "timestamp" => name,
                "timestamptz" => format!("({name} AT TIME ZONE 'UTC')"),
                _ => return None,
            };
            // There is no year 0, and PostgreSQL numbers the years before it differently.
            if *part == Part::Year && *number < 1 {
                return None;
            }
            let number = bind(Value::Integer(*number));
            let part = format!("EXTRACT({} FROM {name})", part.name());
            format!(
                "pg_catalog.floor({part}) {} {number}::pg_catalog.int8",
                in_catalog(comparison.sign())
            )
        }
    };
    Some((sql, Kept::Same))
}

/// Returns the type that the value is cast to for a comparison with the column; `None` if
/// PostgreSQL might compare them differently.
fn accepted(field: &Field, value: &Value) -> Option<&'static str> {
    Some(match (field.database_type.as_str(), value) {
        ("int2" | "int4" | "int8" | "oid", Value::Integer(_)) => "int8",
        ("numeric", Value::Integer(_) | Value::Decimal(_)) => "numeric",
        ("float4", Value::Float(value)) if value.is_finite() => "float4",
        ("float8", Value::Float(value)) if value.is_finite() => "float8",
        ("bool", Value::Boolean(_)) => "bool",
        ("bytea", Value::Bytes(_)) => "bytea",
        ("date", Value::Temporal(_)) => "date",
        ("time", Value::Temporal(_)) => "time",
        ("timestamp", Value::Temporal(_)) => "timestamp",
        ("timestamptz", Value::Temporal(_)) => "timestamptz",
        ("text" | "varchar" | "name", Value::Text(text)) if !text.contains('\0') => "text",
        _ => return None,
    })
}

/// The collation that compares texts by their bytes.
const BY_BYTES: &str = "COLLATE pg_catalog.\"C\"";

fn compared(name: &str, comparison: Comparison, value: &str, value_type: &str) -> String {
    let sign = in_catalog(comparison.sign());
    match (value_type, comparison) {
        // The first half can use an index; the second is needed as a collation may treat different
        // texts as equal.
        ("text", Comparison::Equal) => {
            format!("({name} {sign} {value} AND {name} {BY_BYTES} {sign} {value})")
        }
        ("text", Comparison::Unequal) => format!("{name} {BY_BYTES} {sign} {value}"),
        // Compares the bytes in UTF-8, whatever the collation and the encoding of the database.
        ("text", _) => {
            let utf8 = |text: &str| format!("pg_catalog.convert_to({text}, 'UTF8')");
            let name = format!("{name}::pg_catalog.text");
            format!("{} {sign} {}", utf8(&name), utf8(value))
        }
        _ => format!("{name} {sign} {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use industrydb_core::ColumnType;

    /// Returns the SQL of a test of the column `a b`, with the values in place of the parameters.
    fn sql(database_type: &str, test: &Test) -> Option<Written> {
        let field = Field::new("a b", database_type, ColumnType::Int64);
        let mut bind = |value: Value| format!("<{value:?}>");
        written(&field, test, &mut bind)
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        use Comparison::{Equal, Greater, Unequal};
        let text = || Value::Text("x".to_owned());
        for (database_type, test, expected) in [
            (
                "int2",
                Test::Compare(Greater, Value::Integer(70_000)),
                Some(r#"q."a b" OPERATOR(pg_catalog.>) <Integer(70000)>::pg_catalog.int8"#),
            ),
            (
                "numeric",
                Test::Compare(Equal, Value::Integer(7)),
                Some(r#"q."a b" OPERATOR(pg_catalog.=) <Integer(7)>::pg_catalog.numeric"#),
            ),
            (
                "text",
                Test::Compare(Unequal, text()),
                Some(
                    r#"q."a b" COLLATE pg_catalog."C" OPERATOR(pg_catalog.<>) <Text("x")>::pg_catalog.text"#,
                ),
            ),
            (
                "varchar",
                Test::Compare(Equal, text()),
                Some(concat!(
                    r#"(q."a b" OPERATOR(pg_catalog.=) <Text("x")>::pg_catalog.text"#,
                    r#" AND q."a b" COLLATE pg_catalog."C" OPERATOR(pg_catalog.=)"#,
                    r#" <Text("x")>::pg_catalog.text)"#
                )),
            ),
            (
                "int4",
                Test::In(vec![Value::Integer(1)]),
                Some(
                    r#"q."a b" OPERATOR(pg_catalog.=) ANY (<List([Integer(1)])>::pg_catalog.int8[])"#,
                ),
            ),
            // `bpchar` ignores trailing blanks; a `uuid` has several text forms; an enum has an
            // order of its own.
            ("bpchar", Test::Compare(Equal, text()), None),
            ("uuid", Test::Compare(Equal, text()), None),
            ("mood", Test::Compare(Greater, text()), None),
            (
                "interval",
                Test::Compare(Equal, Value::Duration { microseconds: 1 }),
                None,
            ),
            (
                "float8",
                Test::Compare(Equal, Value::Float(f64::INFINITY)),
                None,
            ),
            ("int4", Test::Compare(Equal, text()), None),
            // There is no year 0 in SQL.
            ("date", Test::Part(Part::Year, Greater, 0), None),
            ("date", Test::Part(Part::Hour, Greater, 1), None),
            (
                "timestamptz",
                Test::Part(Part::Second, Equal, 5),
                Some(concat!(
                    r#"pg_catalog.floor(EXTRACT(second FROM (q."a b" AT TIME ZONE 'UTC')))"#,
                    " OPERATOR(pg_catalog.=) <Integer(5)>::pg_catalog.int8"
                )),
            ),
        ] {
            let expected = expected.map(|sql| (sql.to_owned(), Kept::Same));
            assert_eq!(
                sql(database_type, &test),
                expected,
                "{database_type} {test:?}"
            );
        }
    }
}
