//! Reads pages as the connection's transaction sees them: from the file, several at a time, or
//! through the virtual table [`sqlite_dbpage`](https://www.sqlite.org/dbpage.html).

use std::ops::Range;

use rusqlite::{Connection, Statement};

use super::page::Layout;
use crate::ffi::file::DatabaseFile;
use crate::ffi::is_built_with;
use crate::sql::dialect::quoted;

/// Returns whether SQLite is built with the virtual table.
pub(crate) fn exists() -> bool {
    is_built_with(c"ENABLE_DBPAGE_VTAB")
}

/// The pages of one database.
pub(crate) struct Pager<'c> {
    /// Reads the pages of a b-tree.
    pub(crate) tree: Pages<'c>,
    /// Reads overflow pages, while a page of the b-tree is in use.
    pub(crate) overflow: Pages<'c>,
    pub(crate) layout: Layout,
    /// Number of pages of the database.
    pub(crate) page_count: usize,
}

/// Reads one page after the other.
pub(crate) struct Pages<'c> {
    statement: Statement<'c>,
    /// The file, if its bytes are what the transaction sees.
    file: Option<Window<'c>>,
}

/// The pages that were last read from a file.
struct Window<'c> {
    file: DatabaseFile<'c>,
    page_size: u32,
    /// Every page of the file but the one with the lock bytes, which has no content.
    pages: [Range<u32>; 2],
    /// Numbers of the pages in `bytes`.
    held: Range<u32>,
    bytes: Vec<u8>,
}

impl<'c> Pages<'c> {
    fn new(connection: &'c Connection, database: &str) -> rusqlite::Result<Self> {
        let sql = "SELECT data FROM sqlite_dbpage WHERE pgno = ?1 AND schema = ?2";
        let mut statement = connection.prepare(sql)?;
        statement.raw_bind_parameter(2, database)?;
        Ok(Self {
            statement,
            file: None,
        })
    }

    /// Calls `look` with the bytes of a page; `None` if there is no page of this number.
    #[inline]
    pub(crate) fn get<T>(
        &mut self,
        number: u32,
        look: impl FnOnce(&[u8]) -> T,
    ) -> rusqlite::Result<Option<T>> {
        if let Some(file) = &mut self.file
            && let Some(bytes) = file.get(number)?
        {
            return Ok(Some(look(bytes)));
        }
        self.statement.raw_bind_parameter(1, number)?;
        let mut rows = self.statement.raw_query();
        match rows.next()? {
            Some(row) => Ok(Some(look(row.get_ref(0)?.as_bytes()?))),
            None => Ok(None),
        }
    }
}

impl<'c> Window<'c> {
    /// Opens a window on the file of a database whose first page the transaction has read; `None`
    /// if the transaction may see other pages than the file has.
    fn new(
        connection: &'c Connection,
        database: &str,
        page_size: u32,
        page_count: u32,
    ) -> Option<Self> {
        /// Offset of the bytes that SQLite locks.
        const LOCK: u32 = 1 << 30;
        let file = DatabaseFile::new(connection, database)?;
        let lock = LOCK / page_size + 1;
        let end = page_count.checked_add(1)?;
        Some(Self {
            file,
            page_size,
            pages: [1..lock.min(end), lock + 1..end],
            held: 0..0,
            bytes: Vec::new(),
        })
    }

    /// Returns the bytes of a page; `None` if the file has no such page.
    #[inline]
    fn get(&mut self, number: u32) -> rusqlite::Result<Option<&[u8]>> {
        if !self.held.contains(&number) && !self.fill(number)? {
            return Ok(None);
        }
        let size = self.page_size as usize;
        let start = (number - self.held.start) as usize * size;
        Ok(self.bytes.get(start..start + size))
    }

    /// Reads a page, and with it the more pages behind it the longer pages were asked for in their
    /// order; returns whether the file has the page.
    fn fill(&mut self, number: u32) -> rusqlite::Result<bool> {
        /// A window stays in the processor's cache.
        const MOST_BYTES: u32 = 64 << 10;
        let mut pages = self.pages.iter();
        let Some(pages) = pages.find(|pages| pages.contains(&number)) else {
            return Ok(false);
        };
        let before = self.held.end - self.held.start;
        let wanted = if number == self.held.end {
            2 * before
        } else {
            1
        };
        let most = (MOST_BYTES / self.page_size).min(pages.end - number);
        let count = wanted.min(most).max(1);
        self.held = 0..0;
        self.bytes.resize((count * self.page_size) as usize, 0);
        let offset = i64::from(number - 1) * i64::from(self.page_size);
        self.file.read(offset, &mut self.bytes)?;
        self.held = number..number + count;
        Ok(true)
    }
}

impl<'c> Pager<'c> {
    /// Prepares to read a database's pages; `None` if the first page does not look like that of a
    /// database.
    pub(crate) fn new(
        connection: &'c Connection,
        database: &str,
    ) -> rusqlite::Result<Option<Self>> {
        /// Offset in the first page of the number of bytes that are reserved at each page's end.
        const RESERVED: usize = 20;
        let mut tree = Pages::new(connection, database)?;
        let first = tree.get(1, |first| {
            let reserved = usize::from(*first.get(RESERVED)?);
            let layout = Layout::new(first.len().checked_sub(reserved)?)?;
            Some((layout, u32::try_from(first.len()).ok()?))
        })?;
        let Some((layout, page_size)) = first.flatten() else {
            return Ok(None);
        };
        let sql = format!("PRAGMA {}.page_count", quoted(database));
        let page_count: u32 = connection.query_row(&sql, [], |row| row.get(0))?;
        let mut overflow = Pages::new(connection, database)?;
        for pages in [&mut tree, &mut overflow] {
            pages.file = Window::new(connection, database, page_size, page_count);
        }
        Ok(Some(Self {
            tree,
            overflow,
            layout,
            page_count: usize::try_from(page_count).unwrap_or(usize::MAX),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::folder::Folder;

    const FILLED: &str = "CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT); \
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
        INSERT INTO t SELECT i, hex(randomblob(40)) FROM n; \
        INSERT INTO t VALUES (0, hex(randomblob(300000))); DELETE FROM t WHERE x % 7 = 0";
    const BEGUN: &str = "BEGIN; SELECT count(*) FROM t";

    fn all_pages(pages: &mut Pages, count: u32) -> Vec<Option<Vec<u8>>> {
        // In their order, backwards, and in leaps.
        let numbers = (0..count + 3)
            .chain((0..count).rev())
            .chain((0..count).map(|number| number * 7 % count));
        numbers
            .map(|number| pages.get(number, <[u8]>::to_vec).expect("readable"))
            .collect()
    }

    #[test]
    fn pages_of_a_file_are_those_of_the_virtual_table() {
        for page_size in [512, 1024, 4096, 65536] {
            let folder = Folder::new(&format!("pager-pages-{page_size}"));
            let sql = format!("PRAGMA page_size = {page_size}; {FILLED}");
            folder.connect().execute_batch(&sql).expect("valid");
            // The writer's own cache has other bytes for free pages, which are never written.
            let connection = folder.connect();
            connection.execute_batch(BEGUN).expect("begun");
            let pager = Pager::new(&connection, "main").expect("readable");
            let mut pager = pager.expect("a database");
            assert!(pager.tree.file.is_some() && pager.overflow.file.is_some());
            let count = u32::try_from(pager.page_count).expect("few");
            let found = all_pages(&mut pager.tree, count);
            pager.tree.file = None;
            assert!(found == all_pages(&mut pager.tree, count), "{page_size}");
        }
    }

    #[test]
    fn a_file_is_read_only_where_it_is_what_the_transaction_sees() {
        let is_file = |connection: &Connection| {
            let pager = Pager::new(connection, "main").expect("readable");
            pager.expect("a database").tree.file.is_some()
        };
        let memory = Connection::open_in_memory().expect("memory");
        memory.execute_batch(FILLED).expect("valid");
        memory.execute_batch(BEGUN).expect("begun");
        assert!(!is_file(&memory), "in memory");

        let folder = Folder::new("pager-modes");
        let (reader, writer) = (folder.connect(), folder.connect());
        writer.execute_batch(FILLED).expect("valid");
        assert!(!is_file(&reader), "without a transaction");
        reader.execute_batch(BEGUN).expect("begun");
        assert!(is_file(&reader), "with a rollback journal");
        reader
            .execute_batch("UPDATE t SET y = 'new'")
            .expect("written");
        assert!(!is_file(&reader), "with its own changes");
        reader.execute_batch("ROLLBACK").expect("ended");

        let wal = "PRAGMA journal_mode = wal; PRAGMA wal_checkpoint(TRUNCATE)";
        writer.execute_batch(wal).expect("switched");
        reader.execute_batch(BEGUN).expect("begun");
        assert!(is_file(&reader), "with an empty log");
        reader.execute_batch("COMMIT").expect("ended");
        writer
            .execute_batch("DELETE FROM t WHERE x % 5 = 0")
            .expect("written");
        reader.execute_batch(BEGUN).expect("begun");
        assert!(!is_file(&reader), "with frames in the log");
    }

    #[test]
    fn no_writer_changes_the_bytes_of_a_file_that_is_read() {
        for mode in ["delete", "wal"] {
            let folder = Folder::new(&format!("pager-writer-{mode}"));
            let (reader, writer) = (folder.connect(), folder.connect());
            let sql =
                format!("PRAGMA journal_mode = {mode}; {FILLED}; PRAGMA wal_checkpoint(TRUNCATE)");
            writer.execute_batch(&sql).expect("valid");
            writer.busy_timeout(std::time::Duration::ZERO).expect("set");
            reader.execute_batch(BEGUN).expect("begun");
            let pager = Pager::new(&reader, "main").expect("readable");
            let mut pager = pager.expect("a database");
            assert!(pager.tree.file.is_some(), "{mode}");
            let count = u32::try_from(pager.page_count).expect("few");
            let before = all_pages(&mut pager.tree, count);
            let written = writer.execute_batch("UPDATE t SET y = 'new' || x");
            assert_eq!(written.is_ok(), mode == "wal");
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            let ended: i64 = writer
                .query_row(checkpoint, [], |row| row.get(0))
                .unwrap_or(1);
            assert_eq!(ended, i64::from(mode == "wal"), "busy");
            assert!(before == all_pages(&mut pager.tree, count), "{mode}");
            drop(pager);
            reader.execute_batch("COMMIT").expect("ended");
        }
    }

    #[test]
    fn a_file_is_not_read_behind_its_transaction() {
        let folder = Folder::new("pager-ended");
        let connection = folder.connect();
        connection.execute_batch(FILLED).expect("valid");
        connection.execute_batch(BEGUN).expect("begun");
        let pager = Pager::new(&connection, "main").expect("readable");
        let mut pager = pager.expect("a database");
        connection.execute_batch("COMMIT").expect("ended");
        let error = pager.tree.get(2, |_| ()).expect_err("ended");
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::OperationAborted)
        );
    }
}
