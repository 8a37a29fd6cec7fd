//! Parses a page of a b-tree: its cells, and the part of each cell's record that is on the page.
//!
//! <https://www.sqlite.org/fileformat2.html#b_tree_pages>. No number that a page holds is trusted:
//! what does not lie on the page is `None`.

use super::record::varint;

/// Size of the file's header, with which the first page begins.
const FILE_HEADER: usize = 100;
/// Largest number of levels of a b-tree; a deeper one is damaged.
pub(crate) const MAX_LEVELS: usize = 20;
/// Size of the largest record that SQLite keeps, in bytes.
const MOST_BYTES: u64 = i32::MAX as u64;

/// Kind of a b-tree page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    InnerIndex,
    InnerTable,
    LeafIndex,
    LeafTable,
}

impl Kind {
    pub(crate) fn is_leaf(self) -> bool {
        matches!(self, Self::LeafIndex | Self::LeafTable)
    }
}

/// Limits for how much of a record is on its page, derived from the page's usable bytes.
/// <https://www.sqlite.org/fileformat2.html#cell_payload_overflow_pages>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Number of bytes of a page without those that are reserved at its end.
    pub(crate) usable: usize,
    most_in_table: usize,
    most_in_index: usize,
    least: usize,
}

impl Layout {
    /// Returns the limits; `None` for pages that are smaller than SQLite's smallest.
    pub(crate) fn new(usable: usize) -> Option<Self> {
        const SMALLEST: usize = 480;
        (usable >= SMALLEST).then(|| Self {
            usable,
            most_in_table: usable - 35,
            most_in_index: (usable - 12) * 64 / 255 - 23,
            least: (usable - 12) * 32 / 255 - 23,
        })
    }

    /// Returns how many bytes of a record are on the page itself.
    #[inline]
    fn local(&self, payload: usize, kind: Kind) -> usize {
        let most = match kind {
            Kind::LeafTable => self.most_in_table,
            _ => self.most_in_index,
        };
        if payload <= most {
            return payload;
        }
        let filling = self.least + (payload - self.least) % (self.usable - 4);
        if filling <= most { filling } else { self.least }
    }

    /// Returns how many overflow pages the rest of a record takes.
    pub(crate) fn overflow_pages(&self, rest: usize) -> usize {
        rest.div_ceil(self.usable - 4)
    }
}

/// A page of a b-tree.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    /// The page's usable bytes.
    pub(crate) bytes: &'a [u8],
    pub(crate) kind: Kind,
    /// Offset of the page's own header.
    start: usize,
    /// Offsets of the cells, two bytes each.
    positions: &'a [u8],
    layout: Layout,
}

/// A cell of a page: a row, or a key between two pages.
#[derive(Clone, Copy)]
pub(crate) struct PageCell<'a> {
    /// Number of the child page with the rows up to this cell's key; 0 on a leaf.
    pub(crate) child: u32,
    /// The rowid; 0 in an index.
    pub(crate) rowid: i64,
    /// Length of the record; 0 on an inner page of a table.
    pub(crate) payload: usize,
    /// Number of the record's bytes that are on the page.
    pub(crate) local: usize,
    /// Offset of the record on the page.
    pub(crate) start: usize,
    /// The page's bytes from the start of the record.
    pub(crate) rest: &'a [u8],
}

impl<'a> Page<'a> {
    /// Parses a page; `None` if the bytes are no page of a b-tree.
    pub(crate) fn new(bytes: &'a [u8], number: u32, layout: Layout) -> Option<Self> {
        let bytes = bytes.get(..layout.usable)?;
        let start = if number == 1 { FILE_HEADER } else { 0 };
        let kind = match bytes.get(start)? {
            2 => Kind::InnerIndex,
            5 => Kind::InnerTable,
            10 => Kind::LeafIndex,
            13 => Kind::LeafTable,
            _ => return None,
        };
        let cells = usize::from(u16_at(bytes, start + 3)?);
        let header = start + if kind.is_leaf() { 8 } else { 12 };
        Some(Self {
            bytes,
            kind,
            start,
            positions: bytes.get(header..header + 2 * cells)?,
            layout,
        })
    }

    pub(crate) fn cell_count(&self) -> usize {
        self.positions.len() / 2
    }

    /// Returns the child page that follows all cells.
    pub(crate) fn last_child(&self) -> Option<u32> {
        u32_at(self.bytes, self.start + 8)
    }

    /// Returns the cells in the order of their keys; `None` for a cell that does not lie on the
    /// page.
    #[inline]
    pub(crate) fn cells(self) -> impl Iterator<Item = Option<PageCell<'a>>> {
        self.positions.chunks_exact(2).map(move |position| {
            let position = u16_at(position, 0)?;
            self.cell(self.bytes.get(usize::from(position)..)?)
        })
    }

    #[inline]
    fn cell(self, mut rest: &'a [u8]) -> Option<PageCell<'a>> {
        let mut cell = PageCell {
            child: 0,
            rowid: 0,
            payload: 0,
            local: 0,
            start: 0,
            rest,
        };
        if !self.kind.is_leaf() {
            cell.child = u32_at(rest, 0)?;
            rest = rest.get(4..)?;
        }
        if self.kind != Kind::InnerTable {
            let (payload, behind) = varint(rest)?;
            if payload > MOST_BYTES {
                return None;
            }
            rest = behind;
            cell.payload = usize::try_from(payload).ok()?;
            cell.local = self.layout.local(cell.payload, self.kind);
        }
        if matches!(self.kind, Kind::InnerTable | Kind::LeafTable) {
            let (rowid, behind) = varint(rest)?;
            rest = behind;
            cell.rowid = rowid.cast_signed();
        }
        cell.start = self.bytes.len() - rest.len();
        cell.rest = rest;
        (cell.local <= rest.len()).then_some(cell)
    }
}

impl PageCell<'_> {
    /// Returns the first overflow page of the record, if it has one.
    pub(crate) fn overflow(&self) -> Option<u32> {
        u32_at(self.rest, self.local)
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_parted_as_the_format_says() {
        // U = 4096: X = 4061 for tables, 1002 for indexes; M = 489.
        let layout = Layout::new(4096).expect("large enough");
        for (payload, kind, local) in [
            (4061, Kind::LeafTable, 4061),
            (4062, Kind::LeafTable, 489),
            (4581, Kind::LeafTable, 489), // M + K fits: 489 + (4581 - 489) % 4092
            (4582, Kind::LeafTable, 490),
            (1002, Kind::LeafIndex, 1002),
            (1003, Kind::LeafIndex, 1003 - 514),
            (1002, Kind::InnerIndex, 1002),
        ] {
            assert_eq!(layout.local(payload, kind), local, "{payload} {kind:?}");
        }
        assert_eq!(Layout::new(479), None);
    }

    #[test]
    fn bytes_that_are_no_page_have_no_cells() {
        let layout = Layout::new(512).expect("large enough");
        let mut seed: u32 = 1;
        for number in 1..2000 {
            let mut bytes = vec![0; 512];
            for byte in &mut bytes {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = seed.to_be_bytes()[0];
            }
            bytes[if number == 1 { 100 } else { 0 }] = [2, 5, 10, 13][number as usize % 4];
            bytes[3] = 0;
            let Some(page) = Page::new(&bytes, number, layout) else {
                continue;
            };
            for cell in page.cells().flatten() {
                assert!(cell.local <= cell.rest.len());
            }
        }
    }
}
