//! What is put around a query, in PostgreSQL's SQL.

use std::fmt::Write;

use industrydb_core::query::Lexicon;
use industrydb_core::{Field, Key, Partition};

use crate::types::Decoding;

/// How PostgreSQL divides a query into tokens.
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"')],
    line_ends: b"\n\r",
    nested_comments: true,
    escape_and_dollar_strings: true,
};

/// What every session begins with: it sees one state of the database from here on, and changes
/// nothing, whatever the query calls. The settings are those that the text of types without a
/// binary decoder depends on, so that it is exact and the same on every server; poolers would refuse
/// some of them at the login.
pub(crate) const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
     SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; \
     SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'";

/// Names the state that a session sees, for others to import as long as it lives.
pub(crate) const EXPORT_SNAPSHOT: &str = "SELECT pg_catalog.pg_export_snapshot()";

/// Makes a session that has just begun see the state that another one has exported.
pub(crate) fn import_snapshot(name: &str) -> String {
    format!("SET TRANSACTION SNAPSHOT '{}'", name.replace('\'', "''"))
}

/// The statement that sends a partition of the query's rows in binary.
pub(crate) fn copy(
    query: &str,
    fields: &[Field],
    decodings: &[Decoding],
    partition: &Partition,
) -> String {
    let casts = decodings.iter().any(|decoding| decoding.cast().is_some());
    if *partition == Partition::All && !casts {
        // The line break ends a comment that may end the query.
        return format!("COPY (\n{query}\n) TO STDOUT (FORMAT binary)");
    }
    let list: Vec<String> = fields
        .iter()
        .zip(decodings)
        .map(|(field, decoding)| {
            let cast = decoding
                .cast()
                .map_or(String::new(), |to| format!("::{to}"));
            quoted(&field.name) + cast.as_str()
        })
        .collect();
    format!(
        "COPY (SELECT {} FROM (\n{query}\n) AS q{}) TO STDOUT (FORMAT binary)",
        list.join(", "),
        predicate(fields, partition)
    )
}

/// The rows of a partition: the first one takes the NULLs, the ends are open.
fn predicate(fields: &[Field], partition: &Partition) -> String {
    let Partition::Range {
        column,
        lower,
        upper,
    } = partition
    else {
        return String::new();
    };
    let key = quoted(&fields[*column].name);
    let mut sql = String::new();
    match (lower, upper) {
        (None, Some(upper)) => {
            let _ = write!(sql, " WHERE {key} < {} OR {key} IS NULL", literal(*upper));
        }
        (Some(lower), upper) => {
            let _ = write!(sql, " WHERE {key} >= {}", literal(*lower));
            if let Some(upper) = upper {
                let _ = write!(sql, " AND {key} < {}", literal(*upper));
            }
        }
        (None, None) => {}
    }
    sql
}

/// The smallest and largest key; infinities and NaN place no cut.
pub(crate) fn bounds(query: &str, key: &str, only_finite: bool) -> String {
    let key = quoted(key);
    let finite = if only_finite {
        format!(" WHERE {key} > '-Infinity' AND {key} < 'Infinity'")
    } else {
        String::new()
    };
    format!("SELECT min({key}), max({key}) FROM (\n{query}\n) AS q{finite}")
}

fn literal(key: Key) -> String {
    match key {
        Key::Integer(value) => format!("'{value}'::int8"),
        Key::Float(value) => format!("'{value:?}'::float8"),
    }
}

/// A name as it is, whatever characters it has.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use industrydb_core::ColumnType;

    fn field(name: &str) -> Field {
        Field {
            name: name.to_owned(),
            database_type: String::new(),
            column_type: ColumnType::Int64,
        }
    }

    fn range(lower: Option<Key>, upper: Option<Key>) -> Partition {
        Partition::Range {
            column: 0,
            lower,
            upper,
        }
    }

    #[test]
    fn a_query_without_partitions_and_casts_is_copied_as_it_is() {
        assert_eq!(
            copy(
                "SELECT 1 AS a",
                &[field("a")],
                &[Decoding::Int4],
                &Partition::All
            ),
            "COPY (\nSELECT 1 AS a\n) TO STDOUT (FORMAT binary)"
        );
    }

    #[test]
    fn types_without_a_decoder_are_cast_in_the_select_list() {
        assert_eq!(
            copy(
                "SELECT a, b FROM t",
                &[field("a"), field("B \"x\"")],
                &[Decoding::Int4, Decoding::Cast],
                &Partition::All
            ),
            "COPY (SELECT \"a\", \"B \"\"x\"\"\"::text FROM (\nSELECT a, b FROM t\n) AS q) \
             TO STDOUT (FORMAT binary)"
        );
    }

    #[test]
    fn partitions_are_open_at_both_ends_and_the_first_takes_the_nulls() {
        let cut = |value| Some(Key::Integer(value));
        let fields = [field("id")];
        for (partition, sql) in [
            (
                range(None, cut(i64::MIN)),
                " WHERE \"id\" < '-9223372036854775808'::int8 OR \"id\" IS NULL",
            ),
            (
                range(cut(-5), cut(7)),
                " WHERE \"id\" >= '-5'::int8 AND \"id\" < '7'::int8",
            ),
            (range(cut(7), None), " WHERE \"id\" >= '7'::int8"),
            (
                range(Some(Key::Float(0.1)), None),
                " WHERE \"id\" >= '0.1'::float8",
            ),
            (Partition::All, ""),
        ] {
            assert_eq!(predicate(&fields, &partition), sql);
        }
    }
}
