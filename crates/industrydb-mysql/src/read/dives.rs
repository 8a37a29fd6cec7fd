//! Estimates where the keys of an indexed column lie, by the server's own dives into the index.
//!
//! `EXPLAIN` looks at a few pages of the index for each range of keys, and reads no rows. A range
//! with many rows is divided further, since such an estimate is the less exact the larger it is.

use industrydb_core::{Result, Sample, Stop, Value};

use crate::session::connect::Session;
use crate::sql::control;
use crate::sql::dialect::quoted;
use crate::types::DescribedColumn;
use crate::wire::errors::{NO_SUCH_INDEX, number};

/// Number of ranges that one statement asks about.
const RANGES: usize = 64;

/// Number of ranges that a range with many rows is divided into.
const PARTS: i128 = 8;

/// Number of times that ranges are divided.
const DEPTH: usize = 12;

/// Share of all rows that a range may have without being divided further.
const SMALL: f64 = 1.0 / 256.0;

/// Range of keys, both inclusive, and the number of rows that the server expects.
struct Range {
    first: i128,
    last: i128,
    rows: f64,
}

/// Returns the keys of an integer column of a table, as far as an index has them; `None` without one.
pub(crate) fn integers(
    session: &mut Session,
    column: &DescribedColumn,
    stop: &Stop,
) -> Result<Option<Sample>> {
    let (schema, table) = (&column.schema, &column.table);
    let indexes = session.rows(&control::indexes(schema, table, &column.source), stop)?;
    for index in indexes.into_iter().flatten().flatten() {
        let dives = Dives {
            table: control::qualified(schema, table),
            index: quoted(&index),
            key: quoted(&column.source),
        };
        match dives.keys(session, stop) {
            // An index that the server is told to ignore, or that a temporary table of the same
            // name does not have.
            Err(error) if number(&error) == Some(NO_SUCH_INDEX) => {}
            keys => return keys,
        }
    }
    Ok(None)
}

/// The index that is looked into.
struct Dives {
    table: String,
    index: String,
    key: String,
}

impl Dives {
    /// Returns the keys that the index has; `None` if there are none.
    fn keys(&self, session: &mut Session, stop: &Stop) -> Result<Option<Sample>> {
        let nulls = self.rows(session, &["IS NULL".to_owned()], stop)?;
        let Self { table, key, .. } = self;
        let ends = session.rows(&format!("SELECT MIN({key}), MAX({key}) FROM {table}"), stop)?;
        let ends = ends.into_iter().flatten().flatten();
        let ends: Vec<i128> = ends.filter_map(|end| end.parse().ok()).collect();
        let [first, last] = ends[..] else {
            return Ok(None);
        };
        let mut ranges = self.estimated(session, &divided(first, last, RANGES as i128), stop)?;
        for _ in 0..DEPTH {
            stop.check()?;
            let small = ranges.iter().map(|range| range.rows).sum::<f64>() * SMALL;
            let is_large = |range: &Range| range.rows > small && range.last > range.first;
            if !ranges.iter().any(is_large) {
                break;
            }
            let mut next = Vec::new();
            for range in ranges {
                if is_large(&range) {
                    let parts = divided(range.first, range.last, PARTS);
                    next.extend(self.estimated(session, &parts, stop)?);
                } else {
                    next.push(range);
                }
            }
            ranges = next;
        }
        let nulls = nulls.into_iter().map(|rows| (Value::Null, rows));
        let key = |range: &Range| (integer(range.first), range.rows);
        Ok(Some(Sample {
            keys: nulls.chain(ranges.iter().map(key)).collect(),
        }))
    }

    /// Returns how many rows the server expects for each range.
    fn estimated(
        &self,
        session: &mut Session,
        ranges: &[(i128, i128)],
        stop: &Stop,
    ) -> Result<Vec<Range>> {
        let condition = |(first, last): &(i128, i128)| format!("BETWEEN {first} AND {last}");
        let conditions: Vec<String> = ranges.iter().map(condition).collect();
        let rows = self.rows(session, &conditions, stop)?;
        let ranges = ranges.iter().zip(rows);
        let range = |((first, last), rows): (&(i128, i128), f64)| Range {
            first: *first,
            last: *last,
            rows,
        };
        Ok(ranges.map(range).collect())
    }

    /// Returns how many rows the server expects for each condition on the key.
    fn rows(&self, session: &mut Session, conditions: &[String], stop: &Stop) -> Result<Vec<f64>> {
        let Self { table, index, key } = self;
        let select = |condition: &String| {
            format!("(SELECT 1 FROM {table} FORCE INDEX ({index}) WHERE {key} {condition})")
        };
        let selects: Vec<String> = conditions.iter().map(select).collect();
        let plan = session.rows(
            &format!("EXPLAIN FORMAT=TRADITIONAL {}", selects.join(" UNION ALL ")),
            stop,
        )?;
        // The column `rows` is the one before the last, or before `filtered` in front of that.
        let expected = |row: &Vec<Option<String>>| {
            let place = row.len().checked_sub(if row.len() > 10 { 3 } else { 2 })?;
            row.get(place)?.as_ref()?.parse().ok()
        };
        // A range without rows has no plan.
        let expected = plan.iter().map(|row| expected(row).unwrap_or(0.0));
        Ok(expected.take(conditions.len()).collect())
    }
}

/// Divides a range of keys into up to `parts` ranges of equal size.
fn divided(first: i128, last: i128, parts: i128) -> Vec<(i128, i128)> {
    let size = last - first + 1;
    let parts = parts.clamp(1, size.max(1));
    let start = |part: i128| first + size * part / parts;
    (0..parts)
        .map(|part| (start(part), start(part + 1) - 1))
        .collect()
}

fn integer(key: i128) -> Value {
    match i64::try_from(key) {
        Ok(key) => Value::Integer(key),
        Err(_) => Value::Decimal(key.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_divided_without_gaps() {
        for (first, last, parts) in [
            (1, 100, 8),
            (-5, 5, 64),
            (3, 3, 8),
            (i128::from(i64::MIN), i128::from(u64::MAX), 64),
        ] {
            let ranges = divided(first, last, parts);
            assert_eq!(ranges.first().map(|range| range.0), Some(first));
            assert_eq!(ranges.last().map(|range| range.1), Some(last));
            assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
            assert!(ranges.iter().all(|(first, last)| first <= last));
        }
    }
}
