//! What is put around a query, in SQLite's SQL.

use industrydb_core::query::Lexicon;
use industrydb_core::{Field, Key, Partition};

/// How SQLite divides a query into tokens. <https://www.sqlite.org/lang_comment.html>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`'), (b'[', b']')],
    line_ends: b"\n",
    nested_comments: false,
    escape_and_dollar_strings: false,
};

/// The statement that reads a partition: the first one takes the NULLs, the ends are open.
///
/// The arms of a `compound` query may give the key different affinities, by which SQLite would compare
/// one predicate inside the arms and another one outside: rows would fall between them. A `+` takes the
/// affinity away, and with it the use of an index.
pub(crate) fn select(
    query: &str,
    fields: &[Field],
    partition: &Partition,
    compound: bool,
) -> String {
    let Partition::Range {
        column,
        lower,
        upper,
    } = partition
    else {
        return query.to_owned();
    };
    let key = if compound { "+" } else { "" }.to_owned() + &quoted(&fields[*column].name);
    let predicate = match (lower, upper) {
        (None, None) => return query.to_owned(),
        (None, Some(upper)) => format!("{key} < {} OR {key} IS NULL", literal(*upper)),
        (Some(lower), None) => format!("{key} >= {}", literal(*lower)),
        (Some(lower), Some(upper)) => {
            format!(
                "{key} >= {} AND {key} < {}",
                literal(*lower),
                literal(*upper)
            )
        }
    };
    // The line break ends a comment that may end the query.
    format!("SELECT * FROM (\n{query}\n) AS q WHERE {predicate}")
}

/// The statement for one end of the keys, `min` or `max`. Each has its own, since SQLite finds one
/// end in an index, and reads all rows for both.
///
/// Every number sorts below every text and blob, so `< ''` leaves them out; infinities place no cut.
pub(crate) fn bound(query: &str, key: &str, end: &str) -> String {
    let key = quoted(key);
    format!(
        "SELECT {end}({key}) FROM (\n{query}\n) AS q WHERE {key} < '' AND {key} > -9e999 AND {key} < 9e999"
    )
}

/// Shows how SQLite would run the query.
pub(crate) fn explain(query: &str) -> String {
    format!("EXPLAIN QUERY PLAN SELECT * FROM (\n{query}\n) AS q")
}

fn literal(key: Key) -> String {
    match key {
        // The smallest integer is no literal, but an expression on one that is too large.
        Key::Integer(i64::MIN) => "(-9223372036854775807 - 1)".to_owned(),
        Key::Integer(value) => value.to_string(),
        Key::Float(value) => format!("{value:?}"),
    }
}

/// A name as it is, whatever characters it has. With the `q.` in front, SQLite never takes a name
/// that it does not know for a text.
fn quoted(name: &str) -> String {
    format!("q.\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use industrydb_core::ColumnType;

    #[test]
    fn partitions_are_open_at_both_ends_and_the_first_takes_the_nulls() {
        let fields = [Field {
            name: "a \"b\"".to_owned(),
            database_type: String::new(),
            column_type: ColumnType::Int64,
        }];
        let range = |lower, upper| Partition::Range {
            column: 0,
            lower,
            upper,
        };
        let cut = |value| Some(Key::Integer(value));
        for (partition, predicate) in [
            (
                range(None, cut(i64::MIN)),
                "q.\"a \"\"b\"\"\" < (-9223372036854775807 - 1) OR q.\"a \"\"b\"\"\" IS NULL",
            ),
            (
                range(cut(-5), Some(Key::Float(1e300))),
                "q.\"a \"\"b\"\"\" >= -5 AND q.\"a \"\"b\"\"\" < 1e300",
            ),
            (range(cut(7), None), "q.\"a \"\"b\"\"\" >= 7"),
        ] {
            assert_eq!(
                select("SELECT 1", &fields, &partition, false),
                format!("SELECT * FROM (\nSELECT 1\n) AS q WHERE {predicate}")
            );
        }
        assert_eq!(
            select("SELECT 1", &fields, &Partition::All, false),
            "SELECT 1"
        );
        assert!(
            select("SELECT 1", &fields, &range(cut(7), None), true)
                .ends_with("WHERE +q.\"a \"\"b\"\"\" >= 7")
        );
    }
}
