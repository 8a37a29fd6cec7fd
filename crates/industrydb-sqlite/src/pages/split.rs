//! Finds where the rows of a partition begin, if the rows of a b-tree happen to lie in the order of
//! a key.
//!
//! Rows that were loaded in the order of a column lie in it, although the b-tree is in the order of
//! the rowid. A partition that first reads those from its lower bound on leaves the pages in front
//! of it to the partitions that read them anyway. Nothing is taken for certain: the pages in front
//! are walked through afterwards.

use industrydb_core::{Result, Stop};

use super::cut::Bound;
use super::damage::stopped_or_failed;
use super::page::{MAX_LEVELS, Page};
use super::pager::Pager;
use super::program::Place;
use super::record;
use super::table::Proven;
use super::tree::Below;
use crate::ffi::row::Cell;

/// Number of pages that are enough for a level to be split.
const ENOUGH: usize = 64;
/// Number of pages whose first keys are compared.
const PROBES: usize = 64;

/// Pages of one level of a b-tree.
pub(super) struct Split {
    /// Pages in front of the partition's rows, as it seems.
    pub(super) front: Vec<Below>,
    pub(super) behind: Vec<Below>,
}

/// What is below a page.
enum Found {
    /// One child page or more.
    Children(Vec<u32>),
    /// The integer key of a leaf's first row.
    Key(i64),
}

/// Splits a table's b-tree at the lower bound of a range; `None` if its rows do not seem to lie in
/// the order of the key, and for a small one.
pub(super) fn split(pager: &mut Pager, proven: &Proven, stop: &Stop) -> Result<Option<Split>> {
    let Some((cut, _)) = proven.cut().filter(|(cut, _)| !cut.is_order) else {
        return Ok(None);
    };
    if proven.is_index || !matches!(cut.lower, Some(Bound::Integer(_))) {
        return Ok(None);
    }
    // The lowest level above the leaves, or one with enough pages.
    let mut level = 0;
    let mut numbers = vec![proven.root];
    while numbers.len() < ENOUGH {
        let mut children = Vec::new();
        for number in &numbers {
            match found(pager, *number, cut.place, stop)? {
                Some(Found::Children(below)) => children.extend(below),
                _ => return Ok(None),
            }
        }
        match found(pager, children[0], cut.place, stop)? {
            Some(Found::Children(_)) if level < MAX_LEVELS => level += 1,
            _ => break,
        }
        numbers = children;
    }
    if numbers.len() < 2 {
        return Ok(None);
    }
    let mut before = i64::MIN;
    let mut start = 0;
    for probe in 0..PROBES {
        let at = probe * numbers.len() / PROBES;
        let Some(key) = first_key(pager, numbers[at], cut.place, stop)? else {
            return Ok(None);
        };
        if key < before {
            return Ok(None);
        }
        before = key;
        if cut.is_below(Cell::Integer(key)) {
            start = at;
        }
    }
    let below = |number| Below { number, level };
    let mut front: Vec<Below> = numbers.into_iter().map(below).collect();
    let behind = front.split_off(start);
    Ok(Some(Split { front, behind }))
}

/// Returns the key of the first row below a page, if it is an integer.
fn first_key(pager: &mut Pager, mut number: u32, place: Place, stop: &Stop) -> Result<Option<i64>> {
    for _ in 0..MAX_LEVELS {
        match found(pager, number, place, stop)? {
            Some(Found::Children(children)) => number = children[0],
            Some(Found::Key(key)) => return Ok(Some(key)),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Parses a page of a table's b-tree; `None` if nothing is found there: a page that is damaged is
/// an error of the walk.
fn found(pager: &mut Pager, number: u32, place: Place, stop: &Stop) -> Result<Option<Found>> {
    stop.check()?;
    let layout = pager.layout;
    let looked = pager.tree.get(number, |bytes| {
        let page = Page::new(bytes, number, layout)?;
        if !page.kind.is_leaf() {
            // There is always the last child.
            let cells = page.cells().map(|cell| Some(cell?.child));
            let mut children: Vec<u32> = cells.collect::<Option<_>>()?;
            children.push(page.last_child()?);
            return Some(Found::Children(children));
        }
        let cell = page.cells().next()??;
        let Place::Field { index, is_real } = place else {
            return None;
        };
        let (at, _) = record::find(page.bytes, cell.start, cell.payload, index)?;
        match at.value(is_real, page.bytes, Cell::Null)? {
            Cell::Integer(key) => Some(Found::Key(key)),
            _ => None,
        }
    });
    let looked = looked.map_err(|error| stopped_or_failed(stop, &error))?;
    Ok(looked.flatten())
}
