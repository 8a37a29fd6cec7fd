//! A range of keys, compared as SQLite compares values.

use std::cmp::Ordering;

use industrydb_core::Value;

use super::program::Place;
use crate::ffi::row::Cell;
use crate::types::Affinity;

/// The rows with `lower <= key` and `key < upper`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cut {
    /// Place of the key in the row.
    pub(crate) place: Place,
    pub(crate) lower: Option<Bound>,
    pub(crate) upper: Option<Bound>,
    /// Whether the rows whose key is NULL are in the range.
    pub(crate) has_nulls: bool,
    /// Whether the b-tree has its rows in the order of the key.
    pub(crate) is_order: bool,
}

/// Where a key lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Below,
    Inside,
    Above,
}

/// A bound that the key's affinity does not change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Bound {
    /// Converts a value to a bound; `None` if SQLite would compare another value, because of the
    /// column's affinity.
    pub(crate) fn new(value: &Value, affinity: Affinity) -> Option<Self> {
        let is_text = affinity == Affinity::Text;
        let is_number = matches!(affinity, Affinity::Numeric | Affinity::Real);
        match value {
            Value::Integer(value) if !is_text => Some(Self::Integer(*value)),
            Value::Float(value) if !is_text && !value.is_nan() => Some(Self::Real(*value)),
            Value::Text(text) if !is_number && !text.contains('\0') => {
                Some(Self::Text(text.clone().into_bytes()))
            }
            Value::Bytes(bytes) => Some(Self::Blob(bytes.clone())),
            _ => None,
        }
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Integer(value) => Cell::Integer(*value),
            Self::Real(value) => Cell::Real(*value),
            Self::Text(text) => Cell::Text(text),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }
}

impl Cut {
    /// Returns whether a row with this key is in the range, before it or after it.
    #[inline]
    pub(crate) fn side(&self, key: Cell) -> Side {
        if key == Cell::Null && self.has_nulls {
            Side::Inside
        } else if key == Cell::Null || self.is_below(key) {
            Side::Below
        } else if self.is_above(key) {
            Side::Above
        } else {
            Side::Inside
        }
    }

    /// Returns whether the key is before the range.
    #[inline]
    pub(crate) fn is_below(&self, key: Cell) -> bool {
        let lower = self.lower.as_ref();
        lower.is_some_and(|lower| compare(key, lower.cell()) == Ordering::Less)
    }

    /// Returns whether the key is after the range.
    #[inline]
    pub(crate) fn is_above(&self, key: Cell) -> bool {
        let upper = self.upper.as_ref();
        upper.is_some_and(|upper| compare(key, upper.cell()) != Ordering::Less)
    }
}

/// Compares two values in SQLite's order: NULL, numbers, text by its bytes, blobs.
/// <https://www.sqlite.org/datatype3.html#sort_order>
#[inline]
fn compare(a: Cell, b: Cell) -> Ordering {
    fn rank(cell: Cell) -> u8 {
        match cell {
            Cell::Null => 0,
            Cell::Integer(_) | Cell::Real(_) => 1,
            Cell::Text(_) => 2,
            Cell::Blob(_) => 3,
        }
    }
    match (a, b) {
        (Cell::Integer(a), Cell::Integer(b)) => a.cmp(&b),
        (Cell::Real(a), Cell::Real(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal), // no NaN is stored
        (Cell::Integer(a), Cell::Real(b)) => compare_exactly(a, b),
        (Cell::Real(a), Cell::Integer(b)) => compare_exactly(b, a).reverse(),
        (Cell::Text(a), Cell::Text(b)) | (Cell::Blob(a), Cell::Blob(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

/// Compares an integer with a float, without rounding either.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the float is between the integers' limits then, and its whole part is one of them"
)]
fn compare_exactly(integer: i64, float: f64) -> Ordering {
    /// 2⁶³, the first float above all integers.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float >= LIMIT {
        return Ordering::Less;
    }
    if float < -LIMIT {
        return Ordering::Greater;
    }
    let whole = float.trunc();
    let by_whole = integer.cmp(&(whole as i64));
    by_whole.then_with(|| {
        0.0_f64
            .partial_cmp(&(float - whole))
            .unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// Values without an affinity compare as SQLite itself compares them.
    #[test]
    fn values_compare_as_in_sqlite() {
        let connection = Connection::open_in_memory().expect("memory");
        let big = 9_007_199_254_740_993;
        let cells = [
            Cell::Null,
            Cell::Integer(i64::MIN),
            Cell::Integer(-1),
            Cell::Integer(0),
            Cell::Integer(big),
            Cell::Integer(i64::MAX),
            Cell::Real(-9_223_372_036_854_775_808.0),
            Cell::Real(-1e300),
            Cell::Real(f64::INFINITY),
            Cell::Real(f64::NEG_INFINITY),
            Cell::Real(-0.0),
            Cell::Real(-0.5),
            Cell::Real(0.5),
            Cell::Real(9_007_199_254_740_992.0),
            Cell::Real(9_223_372_036_854_775_808.0),
            Cell::Text(b""),
            Cell::Text(b"a"),
            Cell::Text("ä".as_bytes()),
            Cell::Text(b"ab"),
            Cell::Blob(b""),
            Cell::Blob(b"\x00\xff"),
        ];
        let bound = |cell: Cell| match cell {
            Cell::Null => rusqlite::types::Value::Null,
            Cell::Integer(value) => rusqlite::types::Value::Integer(value),
            Cell::Real(value) => rusqlite::types::Value::Real(value),
            Cell::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
            Cell::Blob(bytes) => bytes.to_vec().into(),
        };
        for a in cells {
            for b in cells {
                let sql = "SELECT ?1 < ?2, ?1 > ?2";
                let found: (Option<bool>, Option<bool>) = connection
                    .query_row(sql, (bound(a), bound(b)), |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .expect("compared");
                if a == Cell::Null || b == Cell::Null {
                    assert_eq!(found, (None, None));
                    continue;
                }
                let ordering = compare(a, b);
                let expected = (Some(ordering.is_lt()), Some(ordering.is_gt()));
                assert_eq!(found, expected, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn bounds_that_an_affinity_would_change_are_none() {
        use Affinity::{None as Nothing, Numeric, Real, Text};
        let text = || Value::Text("1".to_owned());
        for (value, affinity, is_some) in [
            (Value::Integer(1), Numeric, true),
            (Value::Integer(1), Real, true),
            (Value::Integer(1), Nothing, true),
            (Value::Integer(1), Text, false),
            (Value::Float(0.5), Text, false),
            (Value::Float(f64::NAN), Real, false),
            (text(), Text, true),
            (text(), Nothing, true),
            (text(), Numeric, false),
            (Value::Bytes(vec![1]), Numeric, true),
            (Value::Decimal("1.5".to_owned()), Real, false),
            (Value::Null, Nothing, false),
        ] {
            assert_eq!(
                Bound::new(&value, affinity).is_some(),
                is_some,
                "{value:?} {affinity:?}"
            );
        }
    }
}
