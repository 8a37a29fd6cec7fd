//! Samples of keys, which decide where the cuts are. An old, skewed or refused sample only makes
//! partitions less even.

use std::cmp::Ordering;

use industrydb_core::shape::has_outer_join;
use industrydb_core::{Error, Field, Sample, Value};

use crate::sql::dialect::LEXICON;
use crate::types::{Decoding, TypeEntry};

/// Reads the answer to a sampling query: keys as text, and the number of rows of each.
pub(crate) fn sample(rows: Vec<Vec<Option<String>>>, rows_per_key: f64) -> Sample {
    let key = |row: Vec<Option<String>>| {
        let [key, Some(count)] = <[_; 2]>::try_from(row).ok()? else {
            return None;
        };
        let count: f64 = count.parse().ok()?;
        Some((key.map_or(Value::Null, Value::Text), count * rows_per_key))
    };
    Sample {
        keys: rows.into_iter().filter_map(key).collect(),
    }
}

/// Returns the number of rows in a sample.
pub(crate) fn sampled(rows: &[Vec<Option<String>>]) -> f64 {
    rows.iter()
        .filter_map(|row| row.get(1)?.as_deref()?.parse::<f64>().ok())
        .sum()
}

/// Compares each cut with the next one, if that is possible without asking the server.
pub(crate) fn compare_integers(key_type: &TypeEntry, cuts: &[Value]) -> Option<Vec<Ordering>> {
    let integer = |cut: &Value| match cut {
        Value::Integer(value) => Some(*value),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let are_integers = matches!(
        key_type.decoding,
        Decoding::Int2 | Decoding::Int4 | Decoding::Int8
    );
    if cuts.len() > 1 && !are_integers {
        return None;
    }
    let pair = |pair: &[Value]| Some(integer(&pair[0])?.cmp(&integer(&pair[1])?));
    cuts.windows(2).map(pair).collect()
}

/// Reads the answer to [`statements::rising`](crate::sql::statements::rising).
pub(crate) fn compared(rows: Vec<Vec<Option<String>>>) -> Vec<Ordering> {
    let ordering = |row: Vec<Option<String>>| {
        let is = |index: usize, sign: &str| row.get(index).and_then(Option::as_deref) == Some(sign);
        match (is(0, "t") && is(1, "f"), is(0, "f") && is(1, "f")) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Equal,
            _ => Ordering::Greater,
        }
    };
    rows.into_iter().map(ordering).collect()
}

/// Returns whether most keys are NULLs that an outer join may have made, because the rows to join
/// are not in the sample.
pub(crate) fn is_padded(query: &str, rows: &[Vec<Option<String>>]) -> bool {
    let nulls = rows.iter().take_while(|row| row.first() == Some(&None));
    let nulls = sampled(&nulls.cloned().collect::<Vec<_>>());
    has_outer_join(query, LEXICON) && nulls * 2.0 > sampled(rows)
}

/// Returns the error for a key that the server cannot sort.
pub(crate) fn unordered(field: &Field, error: &Error) -> Error {
    Error::configuration(format!(
        "partition_on={:?} has the type {}, whose values cannot be put in order: {error}",
        field.name, field.database_type
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::built_in;

    #[test]
    fn cuts_are_compared_as_the_server_says() {
        use Ordering::{Equal, Greater, Less};
        let row = |rises: &str, falls: &str| vec![Some(rises.to_owned()), Some(falls.to_owned())];
        let rows = vec![
            row("t", "f"),
            row("f", "f"),
            row("f", "t"),
            vec![None, None],
        ];
        assert_eq!(compared(rows), [Less, Equal, Greater, Greater]);
        let text = |text: &str| Value::Text(text.to_owned());
        let cuts = [text("9"), Value::Integer(10), text("10"), text("-1")];
        for (oid, cuts, expected) in [
            (20, &cuts[..], Some(vec![Less, Equal, Greater])),
            (25, &cuts[..], None),
            (25, &cuts[..1], Some(vec![])),
            (23, &[Value::Float(0.5), Value::Integer(1)], None),
        ] {
            let key_type = built_in(oid, -1).expect("built in");
            assert_eq!(
                compare_integers(&key_type, cuts),
                expected,
                "{oid} {cuts:?}"
            );
        }
    }
}
