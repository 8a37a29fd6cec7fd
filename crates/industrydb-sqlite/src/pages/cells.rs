//! Parses the cells of pages into rows, and assembles records that lie on several pages.

use industrydb_core::{Result, Stop};

use super::cut::{Cut, Side};
use super::damage::{corrupt, stopped_or_failed};
use super::page::{Layout, Page, PageCell, u32_at};
use super::pager::Pages;
use super::program::Place;
use super::record::{self, Block, header_length};
use super::spans::{Notes, Span};
use super::table::Proven;
use crate::ffi::row::Cell;

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

/// State for the cells of the pages that are read.
pub(super) struct Cells<'p, 'c> {
    overflow: &'p mut Pages<'c>,
    pub(super) layout: Layout,
    pub(super) cut: Option<&'p Cut>,
    /// Whether all rows that come next are known to be in the cut.
    pub(super) is_inside: bool,
    /// Key of a record that lacks the key's field.
    key_default: Cell<'p>,
    /// What partitions know about the keys below inner pages, if the b-tree has another order.
    pub(super) notes: Option<&'p Notes>,
    /// Keys of the rows so far that are below the present inner page.
    pub(super) span: Span,
    /// Last rowid that a leaf had; those of the rows behind it are larger.
    pub(super) last_rowid: Option<i64>,
    /// The rows of the page that have not been handed over yet.
    block: Block,
    /// Bytes of a record that is not on one page.
    record: Vec<u8>,
    /// Number of pages that may still be read.
    pub(super) pages_left: usize,
    stop: &'p Stop,
}

/// Children of a page.
pub(super) enum Children {
    Nothing,
    /// Child pages, each with the largest rowid that is on it; `None` for the last one.
    Table(Vec<(u32, Option<i64>)>),
    /// A copy of the inner page, whose own cells are rows too.
    Index(Vec<u8>),
}

impl<'p, 'c> Cells<'p, 'c> {
    pub(super) fn new(
        overflow: &'p mut Pages<'c>,
        (layout, page_count): (Layout, usize),
        proven: &'p Proven,
        notes: Option<&'p Notes>,
        stop: &'p Stop,
    ) -> Self {
        let cut = proven.cut();
        Self {
            overflow,
            layout,
            cut: cut.map(|(cut, _)| cut),
            is_inside: false,
            key_default: cut.map_or(Cell::Null, |(_, default)| default),
            notes,
            span: Span::NONE,
            last_rowid: None,
            block: Block::new(proven.wanted()),
            record: Vec::new(),
            pages_left: page_count,
            stop,
        }
    }

    /// Counts a page that is read; an error if there are more than the file has.
    pub(super) fn count(&mut self, number: u32) -> Result<()> {
        self.pages_left = self
            .pages_left
            .checked_sub(1)
            .ok_or_else(|| corrupt(number, "is one of more pages than the file has"))?;
        Ok(())
    }

    /// Hands over the rows of a leaf, or returns the children of an inner page.
    pub(super) fn look(
        &mut self,
        bytes: &[u8],
        (number, level): (u32, usize),
        is_index: bool,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<Children> {
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
                Ok(Children::Nothing)
            }
            (InnerTable, false) => {
                let mut children = Vec::with_capacity(page.cell_count() + 1);
                for cell in page.cells() {
                    let cell = cell.ok_or_else(damaged)?;
                    children.push((cell.child, Some(cell.rowid)));
                }
                children.push((page.last_child().ok_or_else(damaged)?, None));
                Ok(Children::Table(children))
            }
            (InnerIndex, true) => Ok(Children::Index(bytes.to_vec())),
            _ => Err(corrupt(number, "is one of another kind of tree")),
        }
    }

    /// Adds the row of a cell to those that are handed over next, if it is in the cut. Returns
    /// whether the row is behind the cut.
    #[inline]
    pub(super) fn take(
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
            let key = self.key(page, cell, number, cut)?;
            side = cut.side(key);
            let mut span = Span::NONE;
            span.add(key);
            self.span.merge(span);
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
    pub(super) fn key<'a>(
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
    pub(super) fn flush(
        &mut self,
        page: &Page,
        take: &mut impl FnMut(&Rows) -> Result<()>,
    ) -> Result<()> {
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
