//! Notes between which keys the rows of whole sub-trees lie.
//!
//! The rows of a partition may lie anywhere in a b-tree that has another order. The partitions of
//! one read note what they find below each inner page, so that only one of them looks there for the
//! keys of rows that belong to the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cut::{Cut, Side};
use super::program::Place;
use super::table::Proven;
use crate::ffi::row::Cell;

/// Smallest and largest key of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    lowest: i64,
    highest: i64,
    /// Whether there are keys that are no integers.
    has_others: bool,
}

impl Span {
    /// The span of no rows.
    pub(super) const NONE: Self = Self {
        lowest: i64::MAX,
        highest: i64::MIN,
        has_others: false,
    };

    #[inline]
    pub(super) fn add(&mut self, key: Cell) {
        if let Cell::Integer(key) = key {
            self.lowest = self.lowest.min(key);
            self.highest = self.highest.max(key);
        } else {
            self.has_others = true;
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.lowest = self.lowest.min(other.lowest);
        self.highest = self.highest.max(other.highest);
        self.has_others |= other.has_others;
    }

    /// Returns where all the rows lie; `None` if they may lie on several sides.
    pub(super) fn side(self, cut: &Cut) -> Option<Side> {
        if self.has_others || self.lowest > self.highest {
            return None;
        }
        let [first, last] = [self.lowest, self.highest].map(|key| cut.side(Cell::Integer(key)));
        (first == last).then_some(first)
    }
}

/// The spans below the inner pages of one b-tree, by the page's number.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<HashMap<u32, Span>>);

impl Notes {
    pub(super) fn get(&self, page: u32) -> Option<Span> {
        locked(&self.0).get(&page).copied()
    }

    pub(super) fn put(&self, page: u32, span: Span) {
        locked(&self.0).insert(page, span);
    }
}

/// Database, root page and key of a b-tree.
type Tree = (String, u32, Place);

/// The notes of partitions that see one state of the database; there are none otherwise.
#[derive(Debug, Default)]
pub(crate) struct Spans(Mutex<Option<HashMap<Tree, Arc<Notes>>>>);

impl Spans {
    /// Forgets all notes, for partitions that see another state than those before them, and, unless
    /// `is_one`, each a state of its own.
    pub(crate) fn begin(&self, is_one: bool) {
        *locked(&self.0) = is_one.then(HashMap::new);
    }

    /// Returns the notes about the key of a range; `None` if the b-tree has the order of the key.
    pub(super) fn of(&self, proven: &Proven) -> Option<Arc<Notes>> {
        let (cut, _) = proven.cut().filter(|(cut, _)| !cut.is_order)?;
        let tree = (proven.database.clone(), proven.root, cut.place);
        let mut trees = locked(&self.0);
        Some(Arc::clone(trees.as_mut()?.entry(tree).or_default()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::cut::Bound;
    use super::*;

    #[test]
    fn rows_lie_on_one_side_or_on_several() {
        let cut = |lower: Option<i64>, upper: Option<i64>| Cut {
            place: Place::Rowid,
            lower: lower.map(Bound::Integer),
            upper: upper.map(Bound::Integer),
            has_nulls: lower.is_none(),
            is_order: false,
        };
        let span = |keys: &[Cell]| {
            let mut span = Span::NONE;
            for key in keys {
                span.add(*key);
            }
            span
        };
        let integers = [Cell::Integer(5), Cell::Integer(-3), Cell::Integer(7)];
        for (lower, upper, side) in [
            (None, None, Some(Side::Inside)),
            (Some(-3), Some(8), Some(Side::Inside)),
            (Some(-2), None, None),
            (None, Some(7), None),
            (Some(8), None, Some(Side::Below)),
            (None, Some(-3), Some(Side::Above)),
        ] {
            assert_eq!(span(&integers).side(&cut(lower, upper)), side);
        }
        let all = cut(None, None);
        for other in [Cell::Null, Cell::Real(6.0), Cell::Text(b"6")] {
            let mut merged = span(&[other]);
            merged.merge(span(&integers));
            assert_eq!(merged.side(&all), None);
        }
        assert_eq!(Span::NONE.side(&all), None);
    }
}
