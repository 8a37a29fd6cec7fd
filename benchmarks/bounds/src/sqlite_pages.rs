//! Reads all pages of an `SQLite` table through `SQLite`'s own pager, without decoding them.
//!
//! ```text
//! sqlite-pages <path> <table> <threads>
//! ```
//!
//! Runs one read-only connection per thread. Each walks the table's B-tree from its root through
//! the interior pages, and then reads its share of the leaf pages by their numbers through
//! `sqlite_dbpage`, as a reader of pages does: locks, log and cache are `SQLite`'s. It reads one
//! byte per cache line of each leaf page. The clock runs from before the file is opened.
//!
//! Prints `{"rows": …, "bytes": …, "seconds": …}`; `bytes` is the size of the leaf pages.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#b_tree_pages>

mod drained;

use std::env;
use std::hint::black_box;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Statement};

use drained::{AnyError, Drained, drain_all};

const INNER_OF_KEYS: u8 = 2;
const INNER_OF_ROWIDS: u8 = 5;
/// Distance in bytes between two bytes that are read: a line of the processor's cache.
const CACHE_LINE: usize = 64;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, table, threads] = arguments.as_slice() else {
        return Err("usage: sqlite-pages <path> <table> <threads>".into());
    };
    let threads: usize = threads.parse()?;

    let numbers: Vec<usize> = (0..threads).collect();
    drain_all(&numbers, |number| drain(path, table, *number, threads))
}

/// Reads the share of the leaf pages that belongs to thread `number` out of `of`.
fn drain(path: &str, table: &str, number: usize, of: usize) -> Result<Drained, AnyError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.execute_batch("BEGIN")?;
    let sql = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let root: u32 = connection.query_row(sql, [table], |row| row.get(0))?;
    let mut pages = connection.prepare("SELECT data FROM sqlite_dbpage WHERE pgno = ?1")?;
    let mut drained = Drained::default();
    let mut level = vec![root];
    // All leaf pages of a B-tree have the same depth: a level has only interior pages, or only leaf
    // pages.
    while let Some(below) = inner(&mut pages, &level, &mut drained, number == 0)? {
        level = below;
    }
    let part = level.len() * number / of..level.len() * (number + 1) / of;
    for leaf in &level[part] {
        taken(&mut pages, *leaf, |page| {
            let lines = page.iter().step_by(CACHE_LINE);
            black_box(lines.fold(0_u8, |folded, byte| folded ^ byte));
            drained.rows += u64::from(cells(page));
            drained.bytes += page.len() as u64;
        })?;
    }
    Ok(drained)
}

/// Returns the numbers of the pages below those of a level; `None` if the level has leaf pages.
/// Adds the rows in interior pages to `drained` if `counts` is set, so that only one thread counts
/// them.
fn inner(
    pages: &mut Statement,
    level: &[u32],
    drained: &mut Drained,
    counts: bool,
) -> Result<Option<Vec<u32>>, AnyError> {
    let mut below = Vec::new();
    for number in level {
        let mut is_leaf = false;
        taken(pages, *number, |page| {
            let has_rows = page[0] == INNER_OF_KEYS;
            is_leaf = !has_rows && page[0] != INNER_OF_ROWIDS;
            if is_leaf {
                return;
            }
            if has_rows && counts {
                drained.rows += u64::from(cells(page));
            }
            for cell in 0..usize::from(cells(page)) {
                let place = usize::from(u16::from_be_bytes([
                    page[12 + 2 * cell],
                    page[13 + 2 * cell],
                ]));
                below.push(page_number(page, place));
            }
            below.push(page_number(page, 8));
        })?;
        if is_leaf {
            return Ok(None);
        }
    }
    Ok(Some(below))
}

/// Reads one page, and calls `then` with its bytes.
fn taken(pages: &mut Statement, number: u32, mut then: impl FnMut(&[u8])) -> Result<(), AnyError> {
    let mut rows = pages.query([number])?;
    match rows.next()?.ok_or("there is no such page")?.get_ref(0)? {
        ValueRef::Blob(page) => {
            then(page);
            Ok(())
        }
        _ => Err("a page is no blob".into()),
    }
}

fn cells(page: &[u8]) -> u16 {
    u16::from_be_bytes([page[3], page[4]])
}

fn page_number(page: &[u8], place: usize) -> u32 {
    u32::from_be_bytes([
        page[place],
        page[place + 1],
        page[place + 2],
        page[place + 3],
    ])
}
