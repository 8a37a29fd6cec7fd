//! Walks through the rows of a b-tree in order.
//!
//! A damaged file may contain cycles. So a walk reads at most as many pages as the file has, and no
//! record may be longer than the pages that are left.

use industrydb_core::{Result, Stop};

use super::cells::{Cells, Children, Rows};
use super::cut::Side;
use super::damage::{corrupt, stopped_or_failed};
use super::page::{MAX_LEVELS, Page};
use super::pager::{Pager, Pages};
use super::spans::{Notes, Span};
use super::table::Proven;
use crate::ffi::row::Cell;

/// A walk through a b-tree.
pub(crate) struct Walk<'p, 'c> {
    tree: &'p mut Pages<'c>,
    cells: Cells<'p, 'c>,
    is_index: bool,
    stop: &'p Stop,
}

/// A page whose rows are to be read, with those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Below {
    pub(crate) number: u32,
    /// Number of pages above it.
    pub(crate) level: usize,
}

/// Whether more rows of the cut may follow.
#[derive(PartialEq)]
enum Then {
    GoOn,
    End,
}

impl<'p, 'c> Walk<'p, 'c> {
    /// Creates a walk through the rows of a proven query.
    pub(crate) fn new(
        pager: &'p mut Pager<'c>,
        proven: &'p Proven,
        notes: Option<&'p Notes>,
        stop: &'p Stop,
    ) -> Self {
        Self {
            tree: &mut pager.tree,
            cells: Cells::new(
                &mut pager.overflow,
                (pager.layout, pager.page_count),
                proven,
                notes,
                stop,
            ),
            is_index: proven.is_index,
            stop,
        }
    }

    /// Calls `take` with the rows below some pages, which come one after the other in the b-tree.
    pub(crate) fn rows(
        &mut self,
        pages: &[Below],
        mut take: impl FnMut(&Rows) -> Result<()>,
    ) -> Result<()> {
        self.cells.last_rowid = None;
        for page in pages {
            if self.page(page.number, page.level, &mut take)? == Then::End {
                break;
            }
        }
        Ok(())
    }

    fn page(
        &mut self,
        number: u32,
        level: usize,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<Then> {
        self.stop.check()?;
        if level > MAX_LEVELS {
            return Err(corrupt(number, "is too deep in its tree"));
        }
        self.cells.count(number)?;
        let (cells, is_index) = (&mut self.cells, self.is_index);
        let looked = self.tree.get(number, |bytes| {
            cells.look(bytes, (number, level), is_index, take)
        });
        let children = looked.map_err(|error| stopped_or_failed(self.stop, &error))?;
        match children.ok_or_else(|| corrupt(number, "is not in the file"))?? {
            Children::Nothing => Ok(Then::GoOn),
            Children::Table(children) => self.noted(number, take, |walk, take| {
                walk.table(&children, level, take)
            }),
            Children::Index(bytes) => self.noted(number, take, |walk, take| {
                walk.index(&bytes, number, level, take)
            }),
        }
    }

    /// Walks by `walk` through what is below an inner page, unless it is known to be outside of the
    /// cut, and notes which keys it has.
    fn noted<T: FnMut(&Rows) -> Result<()>>(
        &mut self,
        number: u32,
        take: &mut T,
        walk: impl FnOnce(&mut Self, &mut T) -> Result<Then>,
    ) -> Result<Then> {
        let (Some(notes), Some(cut)) = (self.cells.notes, self.cells.cut) else {
            return walk(self, take);
        };
        let outside = self.cells.is_inside;
        if let Some(known) = notes.get(number) {
            self.cells.span.merge(known);
            match known.side(cut) {
                Some(Side::Inside) => self.cells.is_inside = true,
                Some(_) => return Ok(Then::GoOn),
                None => {}
            }
        }
        let before = std::mem::replace(&mut self.cells.span, Span::NONE);
        let then = walk(self, take)?;
        if !self.cells.is_inside {
            notes.put(number, self.cells.span);
        }
        self.cells.is_inside = outside;
        self.cells.span.merge(before);
        Ok(then)
    }

    /// Walks through the children of an inner page of a table, except those outside of the cut.
    fn table(
        &mut self,
        children: &[(u32, Option<i64>)],
        level: usize,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<Then> {
        let Some(cut) = self.cells.cut.filter(|cut| cut.is_order) else {
            for (child, _) in children {
                self.page(*child, level + 1, take)?;
            }
            return Ok(Then::GoOn);
        };
        let mut is_from_inside = self.cells.is_inside || cut.lower.is_none();
        for (child, last) in children {
            let last = last.map(Cell::Integer);
            if last.is_some_and(|last| cut.is_below(last)) {
                continue;
            }
            let is_end = last.is_some_and(|last| cut.is_above(last));
            let is_to_inside = last.map_or(cut.upper.is_none(), |_| !is_end);
            if self.below(*child, is_from_inside && is_to_inside, level, take)? == Then::End
                || is_end
            {
                return Ok(Then::End);
            }
            is_from_inside = true;
        }
        Ok(Then::GoOn)
    }

    /// Walks through a child page; with `is_inside`, all its rows are known to be in the cut.
    fn below(
        &mut self,
        number: u32,
        is_inside: bool,
        level: usize,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<Then> {
        let outside = self.cells.is_inside;
        self.cells.is_inside |= is_inside;
        let then = self.page(number, level + 1, take);
        self.cells.is_inside = outside;
        then
    }

    /// Walks through the cells of an inner page of an index, and the child pages between them,
    /// except those outside of the cut.
    fn index(
        &mut self,
        bytes: &[u8],
        number: u32,
        level: usize,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<Then> {
        let damaged = || corrupt(number, "has a cell that does not lie on it");
        let page = Page::new(bytes, number, self.cells.layout).ok_or_else(damaged)?;
        let ordering = self
            .cells
            .cut
            .filter(|cut| cut.is_order && !self.cells.is_inside);
        let mut is_from_inside = ordering.is_some_and(|cut| cut.lower.is_none());
        for cell in page.cells() {
            let cell = cell.ok_or_else(damaged)?;
            let mut is_inside = false;
            if let Some(cut) = ordering {
                // The child page has keys up to this one. This cell is read again after the child
                // page, so its overflow pages do not count yet.
                let pages_left = self.cells.pages_left;
                let key = self.cells.key(&page, &cell, number, cut)?;
                let (is_below, is_above) = (cut.is_below(key), cut.is_above(key));
                self.cells.pages_left = pages_left;
                if is_below {
                    continue;
                }
                is_inside = is_from_inside && !is_above;
                is_from_inside = true;
            }
            if self.below(cell.child, is_inside, level, take)? == Then::End {
                return Ok(Then::End);
            }
            let is_behind = self.cells.take(&page, &cell, number, take)?;
            self.cells.flush(&page, take)?;
            if is_behind && ordering.is_some() {
                return Ok(Then::End);
            }
        }
        let last = page.last_child().ok_or_else(damaged)?;
        let is_inside = is_from_inside && ordering.is_some_and(|cut| cut.upper.is_none());
        self.below(last, is_inside, level, take)
    }
}
