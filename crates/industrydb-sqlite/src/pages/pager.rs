//! Reads pages as the connection's transaction sees them, through the virtual table
//! [`sqlite_dbpage`](https://www.sqlite.org/dbpage.html).

use rusqlite::{Connection, Statement};

use super::page::Layout;
use crate::sql::dialect::quoted;

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

/// A statement that reads one page at a time.
pub(crate) struct Pages<'c>(Statement<'c>);

impl<'c> Pages<'c> {
    fn new(connection: &'c Connection, database: &str) -> rusqlite::Result<Self> {
        let sql = "SELECT data FROM sqlite_dbpage WHERE pgno = ?1 AND schema = ?2";
        let mut statement = connection.prepare(sql)?;
        statement.raw_bind_parameter(2, database)?;
        Ok(Self(statement))
    }

    /// Calls `look` with the bytes of a page; `None` if there is no page of this number.
    #[inline]
    pub(crate) fn get<T>(
        &mut self,
        number: u32,
        look: impl FnOnce(&[u8]) -> T,
    ) -> rusqlite::Result<Option<T>> {
        self.0.raw_bind_parameter(1, number)?;
        let mut rows = self.0.raw_query();
        match rows.next()? {
            Some(row) => Ok(Some(look(row.get_ref(0)?.as_bytes()?))),
            None => Ok(None),
        }
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
        let layout = tree.get(1, |first| {
            let reserved = usize::from(*first.get(RESERVED)?);
            Layout::new(first.len().checked_sub(reserved)?)
        })?;
        let Some(layout) = layout.flatten() else {
            return Ok(None);
        };
        let sql = format!("PRAGMA {}.page_count", quoted(database));
        let page_count: u32 = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(Some(Self {
            tree,
            overflow: Pages::new(connection, database)?,
            layout,
            page_count: usize::try_from(page_count).unwrap_or(usize::MAX),
        }))
    }
}
