//! Estimates where the keys of an indexed column lie, by the server's own dives into the index.
//!
//! `EXPLAIN` looks at a few pages of the index for each range of keys, and reads no rows. The ranges
//! in which partitions meet are divided further, and those with many rows, since an estimate is the
//! less exact the larger it is.

use industrydb_core::{Result, Sample, Stop, Value};

use crate::session::connect::Session;
use crate::sql::control;
use crate::sql::dialect::quoted;
use crate::types::DescribedColumn;
use crate::wire::errors::{NO_SUCH_INDEX, number};

/// Number of ranges that one statement asks about.
const RANGES: usize = 64;

/// Number of ranges that a range is divided into.
const PARTS: i128 = 8;

/// Number of times that ranges are divided.
const DEPTH: usize = 12;

/// Share of all rows that a range may have without being divided further.
const LARGE: f64 = 1.0 / 32.0;

/// Share of all rows that a range may have in which partitions meet.
const SMALL: f64 = 1.0 / 1024.0;

/// Range of keys, both inclusive, and the number of rows that the server expects.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    first: i128,
    last: i128,
    rows: f64,
}

/// Ranges of all keys, in their order.
struct Ranges(Vec<Range>);

impl Ranges {
    fn rows(&self) -> f64 {
        self.0.iter().map(|range| range.rows).sum()
    }

    /// Returns which ranges to divide, so that partitions of equal size can be made of them.
    fn to_divide(&self, partitions: usize) -> Vec<bool> {
        let all = self.rows();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = all / partitions as f64;
        let mut before = 0.0;
        let is_divided = |range: &Range| {
            let partition = (before / each).floor();
            before += range.rows;
            let share = if (before / each).floor() > partition {
                SMALL
            } else {
                LARGE
            };
            range.rows > share * all && range.last > range.first
        };
        self.0.iter().map(is_divided).collect()
    }

    /// Replaces the ranges that are divided by their parts. The parts of a range whose number of rows
    /// is exact enough share its rows, since estimates of their own would count by another measure
    /// than those of their neighbours.
    fn replaced(&self, are_divided: &[bool], parts: Vec<Range>) -> Self {
        let large = LARGE * self.rows();
        let mut parts = parts.into_iter().peekable();
        let mut ranges = Vec::with_capacity(self.0.len() + parts.len());
        for (range, is_divided) in self.0.iter().zip(are_divided) {
            if !is_divided {
                ranges.push(*range);
                continue;
            }
            let start = ranges.len();
            while let Some(part) = parts.next_if(|part| part.last <= range.last) {
                ranges.push(part);
            }
            let told: f64 = ranges[start..].iter().map(|part| part.rows).sum();
            if range.rows <= large && told > 0.0 {
                let measure = range.rows / told;
                ranges[start..]
                    .iter_mut()
                    .for_each(|part| part.rows *= measure);
            }
        }
        Self(ranges)
    }
}

/// Returns the keys of an integer column of a table at which partitions may meet, as far as an index
/// has them; `None` without one.
pub(crate) fn integers(
    session: &mut Session,
    column: &DescribedColumn,
    partitions: usize,
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
        match dives.keys(session, partitions, stop) {
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
    fn keys(
        &self,
        session: &mut Session,
        partitions: usize,
        stop: &Stop,
    ) -> Result<Option<Sample>> {
        let nulls = self.rows(session, &["IS NULL".to_owned()], stop)?;
        let Self { table, key, .. } = self;
        let ends = session.rows(&format!("SELECT MIN({key}), MAX({key}) FROM {table}"), stop)?;
        let ends = ends.into_iter().flatten().flatten();
        let ends: Vec<i128> = ends.filter_map(|end| end.parse().ok()).collect();
        let [first, last] = ends[..] else {
            return Ok(None);
        };
        let parts = divided(first, last, RANGES as i128);
        let mut ranges = Ranges(self.estimated(session, &parts, stop)?);
        for _ in 0..DEPTH {
            let are_divided = ranges.to_divide(partitions);
            let divided: Vec<(i128, i128)> = ranges
                .0
                .iter()
                .zip(&are_divided)
                .filter(|(_, is_divided)| **is_divided)
                .flat_map(|(range, _)| divided(range.first, range.last, PARTS))
                .collect();
            if divided.is_empty() {
                break;
            }
            let parts = self.estimated(session, &divided, stop)?;
            ranges = ranges.replaced(&are_divided, parts);
        }
        let nulls = nulls.into_iter().map(|rows| (Value::Null, rows));
        let key = |range: &Range| (integer(range.first), range.rows);
        Ok(Some(Sample {
            keys: nulls.chain(ranges.0.iter().map(key)).collect(),
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
        let mut estimated = Vec::with_capacity(ranges.len());
        for ranges in ranges.chunks(RANGES) {
            stop.check()?;
            let conditions: Vec<String> = ranges.iter().map(condition).collect();
            let rows = self.rows(session, &conditions, stop)?;
            let range = |((first, last), rows): (&(i128, i128), f64)| Range {
                first: *first,
                last: *last,
                rows,
            };
            estimated.extend(ranges.iter().zip(rows).map(range));
        }
        Ok(estimated)
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

    /// Returns the ranges of these numbers of rows, of a hundred keys each.
    fn ranges(rows: &[f64]) -> Ranges {
        let range = |(place, rows): (i128, &f64)| Range {
            first: place * 100,
            last: place * 100 + 99,
            rows: *rows,
        };
        Ranges((0..).zip(rows).map(range).collect())
    }

    #[test]
    fn ranges_are_divided_where_partitions_meet() {
        let even = ranges(&[10.0; 63]);
        let places = |partitions| -> Vec<usize> {
            let are_divided = even.to_divide(partitions).into_iter().enumerate();
            are_divided
                .filter_map(|(at, is)| is.then_some(at))
                .collect()
        };
        assert_eq!(places(1), [62]);
        assert_eq!(places(2), [31, 62]);
        assert_eq!(places(4), [15, 31, 47, 62]);
        assert_eq!(places(63), (0..63).collect::<Vec<_>>());
        let large = [[0.0; 20].as_slice(), &[50.0, 50.0], &[0.0; 20]].concat();
        let are_divided = ranges(&large).to_divide(2);
        assert_eq!(are_divided.iter().filter(|is| **is).count(), 2);
        assert!(are_divided[20] && are_divided[21]);
        assert!(ranges(&[0.0; 3]).to_divide(2).iter().all(|is| !is));
    }

    /// Parts keep the rows of their range, unless it has too many of them to be exact.
    #[test]
    fn parts_replace_their_range() {
        let whole = ranges(&[1.0, 2.0, 97.0]);
        let part = |first, last, rows| Range { first, last, rows };
        let parts = vec![
            part(100, 149, 3.0),
            part(150, 199, 1.0),
            part(200, 249, 60.0),
            part(250, 299, 60.0),
        ];
        let replaced = whole.replaced(&[false, true, true], parts).0;
        let expected = [
            part(0, 99, 1.0),
            part(100, 149, 1.5),
            part(150, 199, 0.5),
            part(200, 249, 60.0),
            part(250, 299, 60.0),
        ];
        assert_eq!(replaced, expected);
    }

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
