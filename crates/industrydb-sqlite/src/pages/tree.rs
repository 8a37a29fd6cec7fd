//! Walks through the rows of a b-tree in order.
//!
//! A damaged file may contain cycles. So a walk reads at most as many pages as the file has, and no
//! record may be longer than the pages that are left.

use industrydb_core::{Result, Stop};

use super::cut::{Cut, Side};
use super::damage::{corrupt, stopped_or_failed};
use super::page::{Layout, Page, PageCell, u32_at};
use super::pager::{Pager, Pages};
use super::program::Place;
use super::record::{self, Block, header_length};
use crate::ffi::row::Cell;

/// Largest number of levels; a deeper b-tree is damaged.
const MAX_LEVELS: usize = 20;

/// Some parsed rows, with the bytes of their records.
pub(crate) struct Rows<'a> {
    block: &'a Block,
    bytes: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(crate) fn len(&self) -> usize {
        self.block.len()
    }

    /// Returns a value, or the default if the record is older than its column; `None` if the record
    /// is damaged.
    #[expect(
        clippy::inline_always,
        reason = "the kind of a value is then found only once"
    )]
    #[inline(always)]
    pub(crate) fn value(&self, row: usize, place: Place, default: Cell<'a>) -> Option<Cell<'a>> {
        match place {
            Place::Rowid => self.block.rowid(row).map(Cell::Integer),
            Place::Field { index, is_real } => {
                self.block.field(row, index, is_real, self.bytes, default)
            }
        }
    }
}

/// A walk through a b-tree.
pub(crate) struct Walk<'p, 'c> {
    tree: &'p mut Pages<'c>,
    cells: Cells<'p, 'c>,
    is_index: bool,
    stop: &'p Stop,
}

/// State for the cells of the pages that are read.
struct Cells<'p, 'c> {
    overflow: &'p mut Pages<'c>,
    layout: Layout,
    cut: Option<&'p Cut>,
    /// Whether all rows that come next are known to be in the cut.
    is_inside: bool,
    /// Key of a record that lacks the key's field.
    key_default: Cell<'p>,
    /// Last rowid that a leaf had; those of the rows behind it are larger.
    last_rowid: Option<i64>,
    /// The rows of the page that have not been handed over yet.
    block: Block,
    /// Bytes of a record that is not on one page.
    record: Vec<u8>,
    /// Number of pages that may still be read.
    pages_left: usize,
    stop: &'p Stop,
}

/// Children of a page.
enum Below {
    Nothing,
    /// Child pages, each with the largest rowid that is on it; `None` for the last one.
    Table(Vec<(u32, Option<i64>)>),
    /// A copy of the inner page, whose own cells are rows too.
    Index(Vec<u8>),
}

/// Whether more rows of the cut may follow.
#[derive(PartialEq)]
enum Then {
    GoOn,
    End,
}

impl<'p, 'c> Walk<'p, 'c> {
    /// Creates a walk through the rows of a `cut`, or all rows, with the first `wanted` fields of
    /// each.
    pub(crate) fn new(
        pager: &'p mut Pager<'c>,
        is_index: bool,
        wanted: usize,
        cut: Option<(&'p Cut, Cell<'p>)>,
        stop: &'p Stop,
    ) -> Self {
        Self {
            tree: &mut pager.tree,
            cells: Cells {
                overflow: &mut pager.overflow,
                layout: pager.layout,
                cut: cut.map(|(cut, _)| cut),
                is_inside: false,
                key_default: cut.map_or(Cell::Null, |(_, default)| default),
                last_rowid: None,
                block: Block::new(wanted),
                record: Vec::new(),
                pages_left: pager.page_count,
                stop,
            },
            is_index,
            stop,
        }
    }

    /// Calls `take` with the rows below the page `root`.
    pub(crate) fn all(
        mut self,
        root: u32,
        mut take: impl FnMut(&Rows) -> Result<()>,
    ) -> Result<()> {
        self.page(root, 0, &mut take).map(drop)
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
        let below = looked.map_err(|error| stopped_or_failed(self.stop, &error))?;
        match below.ok_or_else(|| corrupt(number, "is not in the file"))?? {
            Below::Nothing => Ok(Then::GoOn),
            Below::Table(children) => self.table(&children, level, take),
            Below::Index(bytes) => self.index(&bytes, number, level, take),
        }
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

impl Cells<'_, '_> {
    /// Counts a page that is read; an error if there are more than the file has.
    fn count(&mut self, number: u32) -> Result<()> {
        self.pages_left = self
            .pages_left
            .checked_sub(1)
            .ok_or_else(|| corrupt(number, "is one of more pages than the file has"))?;
        Ok(())
    }

    /// Hands over the rows of a leaf, or returns the children of an inner page.
    fn look(
        &mut self,
        bytes: &[u8],
        (number, level): (u32, usize),
        is_index: bool,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<Below> {
        use super::page::Kind::{InnerIndex, InnerTable, LeafIndex, LeafTable};
        let damaged = || corrupt(number, "has a cell that does not lie on it");
        let page = Page::new(bytes, number, self.layout)
            .ok_or_else(|| corrupt(number, "is no page of a tree"))?;
        // Only the root of an empty table has no cells.
        if page.cell_count() == 0 && (level > 0 || !page.kind.is_leaf()) {
            return Err(corrupt(number, "is empty, and not all of its tree"));
        }
        match (page.kind, is_index) {
            (LeafTable, false) | (LeafIndex, true) => {
                let mut local = 0;
                for cell in page.cells() {
                    let cell = cell.ok_or_else(damaged)?;
                    if page.kind == LeafTable {
                        if self.last_rowid.is_some_and(|last| cell.rowid <= last) {
                            return Err(corrupt(number, "has rows that another page has too"));
                        }
                        self.last_rowid = Some(cell.rowid);
                    }
                    local += cell.local;
                    if local > bytes.len() {
                        return Err(corrupt(number, "has cells that lie upon each other"));
                    }
                    self.take(&page, &cell, number, take)?;
                    if self.block.is_full() {
                        self.flush(&page, take)?;
                    }
                }
                self.flush(&page, take)?;
                Ok(Below::Nothing)
            }
            (InnerTable, false) => {
                let mut children = Vec::with_capacity(page.cell_count() + 1);
                for cell in page.cells() {
                    let cell = cell.ok_or_else(damaged)?;
                    children.push((cell.child, Some(cell.rowid)));
                }
                children.push((page.last_child().ok_or_else(damaged)?, None));
                Ok(Below::Table(children))
            }
            (InnerIndex, true) => Ok(Below::Index(bytes.to_vec())),
            _ => Err(corrupt(number, "is one of another kind of tree")),
        }
    }

    /// Adds the row of a cell to those that are handed over next, if it is in the cut. Returns
    /// whether the row is behind the cut.
    #[inline]
    fn take(
        &mut self,
        page: &Page,
        cell: &PageCell,
        number: u32,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<bool> {
        let is_whole = cell.local == cell.payload;
        if !is_whole {
            self.flush(page, take)?;
        }
        let mut side = Side::Inside;
        if let Some(cut) = self.cut.filter(|_| !self.is_inside) {
            let pages_left = self.pages_left;
            side = cut.side(self.key(page, cell, number, cut)?);
            if side == Side::Inside {
                self.pages_left = pages_left; // the record's overflow pages are read again
            }
        }
        if side == Side::Inside {
            if is_whole {
                let added = self
                    .block
                    .push(cell.rowid, page.bytes, cell.start, cell.payload);
                added.ok_or_else(|| corrupt(number, "has a damaged record"))?;
            } else {
                self.gather(cell, number, |block, record| {
                    block.push(cell.rowid, record, 0, cell.payload)?;
                    Some(((), block.end))
                })?;
                take(&Rows {
                    block: &self.block,
                    bytes: &self.record,
                })?;
                self.block.clear();
            }
        }
        Ok(side == Side::Above)
    }

    /// Returns the key of a cell, without parsing the fields behind it.
    #[inline]
    fn key<'a>(
        &'a mut self,
        page: &Page<'a>,
        cell: &PageCell,
        number: u32,
        cut: &Cut,
    ) -> Result<Cell<'a>> {
        let Place::Field { index, is_real } = cut.place else {
            return Ok(Cell::Integer(cell.rowid));
        };
        let damaged = || corrupt(number, "has a damaged record");
        let (at, bytes) = if cell.local == cell.payload {
            let found = record::find(page.bytes, cell.start, cell.payload, index);
            (found.ok_or_else(damaged)?.0, page.bytes)
        } else {
            let at = self.gather(cell, number, |_, record| {
                record::find(record, 0, cell.payload, index)
            })?;
            (at, self.record.as_slice())
        };
        let key = at.value(is_real, bytes, self.key_default);
        key.ok_or_else(damaged)
    }

    /// Hands over the pending rows of a page.
    #[inline]
    fn flush(&mut self, page: &Page, take: &mut impl FnMut(&Rows) -> Result<()>) -> Result<()> {
        if self.block.len() > 0 {
            take(&Rows {
                block: &self.block,
                bytes: page.bytes,
            })?;
            self.block.clear();
        }
        Ok(())
    }

    /// Assembles a record from several pages, as far as the fields reach that `parse` finds: its
    /// result comes with the offset of their end.
    #[cold]
    fn gather<T>(
        &mut self,
        cell: &PageCell,
        number: u32,
        parse: impl FnOnce(&mut Block, &[u8]) -> Option<(T, usize)>,
    ) -> Result<T> {
        let damaged = || corrupt(number, "has a damaged record");
        let local = cell.rest.get(..cell.local).ok_or_else(damaged)?;
        if self.layout.overflow_pages(cell.payload - cell.local) > self.pages_left {
            return Err(corrupt(number, "has a record that is longer than the file"));
        }
        self.record.clear();
        self.record.extend_from_slice(local);
        let mut next = cell.overflow().ok_or_else(damaged)?;
        let header = header_length(&self.record, cell.payload).ok_or_else(damaged)?;
        self.fill(header, cell.payload, &mut next)?;
        self.block.clear();
        let (parsed, end) = parse(&mut self.block, &self.record).ok_or_else(damaged)?;
        self.fill(end, cell.payload, &mut next)?;
        Ok(parsed)
    }

    /// Appends overflow pages to the record until it has `wanted` bytes.
    fn fill(&mut self, wanted: usize, payload: usize, next: &mut u32) -> Result<()> {
        while self.record.len() < wanted {
            self.stop.check()?;
            let number = *next;
            self.count(number)?;
            let (record, usable) = (&mut self.record, self.layout.usable);
            let looked = self.overflow.get(number, |bytes| {
                let content = bytes.get(4..usable)?;
                let rest = content.len().min(payload - record.len());
                record.extend_from_slice(content.get(..rest)?);
                *next = u32_at(bytes, 0)?;
                Some(())
            });
            let looked = looked.map_err(|error| stopped_or_failed(self.stop, &error))?;
            let damaged = || corrupt(number, "is no page with the rest of a record");
            looked.flatten().ok_or_else(damaged)?;
        }
        Ok(())
    }
}
