//! Looks into a table's tree for keys that part it evenly, without reading its rows.
//!
//! The inner pages of a table's b-tree hold a key for each page below, so the keys of one level divide the
//! table into parts of about the same number of pages. SQLite hands its pages out, as the transaction sees
//! them, by the virtual table [`sqlite_dbpage`](https://www.sqlite.org/dbpage.html); what is in them is said
//! in <https://www.sqlite.org/fileformat2.html#b_tree_pages>. What does not look like that is passed over:
//! the keys only place cuts.

use rusqlite::{Connection, OptionalExtension, Statement};

use industrydb_core::Value;

/// The most pages of one level that are looked at; of a larger level, these at equal distances.
const MAX_PAGES: usize = 256;
/// How many leaves are counted for the number of rows.
const LEAVES_COUNTED: usize = 8;
/// A tree of more levels is no tree.
const MAX_LEVELS: usize = 20;

/// Keys of a tree at equal distances: the primary key's values of a row, or just its rowid.
pub(crate) struct TreeSample {
    pub(crate) keys: Vec<Vec<Value>>,
    /// How many rows the tree has, about.
    pub(crate) rows: f64,
}

/// Looks for about `wanted` keys, each with the first `columns` values of its row. There are none in a tree
/// without inner pages, which is a small one.
pub(crate) fn sample(
    connection: &Connection,
    database: &str,
    root: u32,
    columns: usize,
    wanted: usize,
) -> rusqlite::Result<Option<TreeSample>> {
    let mut pages = Pages::new(connection, database)?;
    let mut level = vec![root];
    let mut all_pages = 1.0; // that the level really has
    for _ in 0..MAX_LEVELS {
        let mut children = Vec::new();
        let mut keys = Vec::new();
        for number in &level {
            let Some(page) = pages.get(*number)? else {
                return Ok(None);
            };
            page.inner_cells(columns, |child, key| {
                children.push(child);
                keys.extend(key);
            });
        }
        let Some(first) = children.first() else {
            return Ok(None);
        };
        #[expect(clippy::cast_precision_loss, reason = "about as many")]
        let children_per_page = children.len() as f64 / level.len() as f64;
        all_pages *= children_per_page;
        let Some(page) = pages.get(*first)? else {
            return Ok(None);
        };
        if page.is_leaf() {
            let mut cells = 0.0;
            let leaves = thinned(&children, LEAVES_COUNTED);
            for leaf in &leaves {
                if let Some(leaf) = pages.get(*leaf)? {
                    cells += f64::from(leaf.cell_count());
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "at most LEAVES_COUNTED")]
            let cells_per_leaf = cells / leaves.len() as f64;
            return Ok(Some(TreeSample {
                keys: thinned(&keys, wanted),
                rows: all_pages * cells_per_leaf,
            }));
        }
        level = thinned(&children, MAX_PAGES);
    }
    Ok(None)
}

/// At most `count` of the items, at equal distances.
fn thinned<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    let count = count.clamp(1, items.len().max(1));
    // From the middle of each stretch, so that both ends are as far away.
    let at = |number: usize| (2 * number + 1) * items.len() / (2 * count);
    (0..count)
        .filter_map(|number| items.get(at(number)).cloned())
        .collect()
}

struct Pages<'c> {
    statement: Statement<'c>,
    database: String,
    /// Bytes of a page that the tree uses.
    usable: usize,
}

impl<'c> Pages<'c> {
    fn new(connection: &'c Connection, database: &str) -> rusqlite::Result<Self> {
        /// Where the first page says how many bytes at each page's end the tree leaves alone.
        const RESERVED: usize = 20;
        let sql = "SELECT data FROM sqlite_dbpage WHERE schema = ? AND pgno = ?";
        let mut pages = Self {
            statement: connection.prepare(sql)?,
            database: database.to_owned(),
            usable: 0,
        };
        if let Some(Page { data, .. }) = pages.get(1)? {
            let reserved = data.get(RESERVED).copied().unwrap_or_default();
            pages.usable = data.len().saturating_sub(usize::from(reserved));
        }
        Ok(pages)
    }

    fn get(&mut self, number: u32) -> rusqlite::Result<Option<Page>> {
        /// The first page begins with the file's header.
        const FILE_HEADER: usize = 100;
        let row = |row: &rusqlite::Row| row.get(0);
        let data: Option<Vec<u8>> = self
            .statement
            .query_row((&self.database, number), row)
            .optional()?;
        Ok(data.map(|data| Page {
            start: if number == 1 { FILE_HEADER } else { 0 },
            usable: self.usable,
            data,
        }))
    }
}

struct Page {
    data: Vec<u8>,
    /// Where the page's own header begins.
    start: usize,
    usable: usize,
}

/// The page types that have pages below them.
const INNER_INDEX: u8 = 2;
const INNER_TABLE: u8 = 5;

impl Page {
    fn kind(&self) -> u8 {
        self.data.get(self.start).copied().unwrap_or_default()
    }

    fn is_leaf(&self) -> bool {
        !matches!(self.kind(), INNER_INDEX | INNER_TABLE)
    }

    fn cell_count(&self) -> u16 {
        u16_at(&self.data, self.start + 3).unwrap_or_default()
    }

    /// Shows each page below, and the key behind it; the last has none.
    fn inner_cells(&self, columns: usize, mut see: impl FnMut(u32, Option<Vec<Value>>)) {
        /// Where the last page below is named, and where the cells' positions begin.
        const LAST_CHILD: usize = 8;
        const POSITIONS: usize = 12;
        if self.is_leaf() {
            return;
        }
        for number in 0..usize::from(self.cell_count()) {
            let position = u16_at(&self.data, self.start + POSITIONS + 2 * number);
            let cell = position.and_then(|position| self.data.get(usize::from(position)..));
            let Some((child, rest)) = cell.and_then(<[u8]>::split_first_chunk) else {
                continue;
            };
            see(u32::from_be_bytes(*child), self.key(rest, columns));
        }
        let last = self.data.get(self.start + LAST_CHILD..);
        if let Some((child, _)) = last.and_then(<[u8]>::split_first_chunk) {
            see(u32::from_be_bytes(*child), None);
        }
    }

    fn key(&self, cell: &[u8], columns: usize) -> Option<Vec<Value>> {
        let (number, rest) = varint(cell)?;
        if self.kind() == INNER_TABLE {
            return Some(vec![Value::Integer(number)]);
        }
        let payload = usize::try_from(number).ok()?;
        let local = local_payload(payload, self.usable)?;
        record(rest.get(..local)?, columns)
    }
}

/// How many bytes of an index's cell are on the page itself; the others overflow.
fn local_payload(payload: usize, usable: usize) -> Option<usize> {
    let most = (usable.checked_sub(12)? * 64 / 255).checked_sub(23)?;
    let least = (usable.checked_sub(12)? * 32 / 255).checked_sub(23)?;
    if payload <= most {
        return Some(payload);
    }
    let filling = least + (payload - least) % (usable - 4);
    Some(if filling <= most { filling } else { least })
}

/// The first values of a record, if all of them are there.
/// <https://www.sqlite.org/fileformat2.html#record_format>
fn record(bytes: &[u8], columns: usize) -> Option<Vec<Value>> {
    let (header_length, header) = varint(bytes)?;
    let header_length = usize::try_from(header_length).ok()?;
    let mut types = header.get(..header_length.checked_sub(bytes.len() - header.len())?)?;
    let mut body = bytes.get(header_length..)?;
    let mut values = Vec::with_capacity(columns);
    for _ in 0..columns {
        let (serial_type, rest) = varint(types)?;
        types = rest;
        let (value, rest) = value(serial_type, body)?;
        body = rest;
        values.push(value);
    }
    Some(values)
}

/// One value of a record. A text is given as its bytes, in the encoding of the database.
fn value(serial_type: i64, body: &[u8]) -> Option<(Value, &[u8])> {
    let integer = |length: usize| {
        let (bytes, rest) = body.split_at_checked(length)?;
        let negative = bytes.first()? & 0x80 != 0;
        let start = if negative { -1 } else { 0 };
        let number = bytes
            .iter()
            .fold(start, |number: i64, byte| number << 8 | i64::from(*byte));
        Some((Value::Integer(number), rest))
    };
    match serial_type {
        0 => Some((Value::Null, body)),
        1..=4 => integer(usize::try_from(serial_type).ok()?),
        5 => integer(6),
        6 => integer(8),
        7 => {
            let (bytes, rest) = body.split_first_chunk()?;
            Some((Value::Float(f64::from_be_bytes(*bytes)), rest))
        }
        8 | 9 => Some((Value::Integer(serial_type - 8), body)),
        12.. => {
            let length = usize::try_from((serial_type - 12) / 2).ok()?;
            let (bytes, rest) = body.split_at_checked(length)?;
            let value = if serial_type % 2 == 0 {
                Value::Bytes(bytes.to_vec())
            } else {
                Value::Text(literal_text(bytes)?)
            };
            Some((value, rest))
        }
        _ => None,
    }
}

/// A text that can stand in a statement; other keys will do as well as one that cannot.
pub(crate) fn literal_text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then(|| text.to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number of one to nine bytes, of which all but the ninth say by their highest bit whether more follow.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut number: u64 = 0;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            number = number << 8 | u64::from(*byte);
        } else {
            number = number << 7 | u64::from(byte & 0x7f);
        }
        if at == 8 || byte & 0x80 == 0 {
            return Some((number.cast_signed(), &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(script: &str) -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(script).expect("valid");
        connection
    }

    fn root(connection: &Connection) -> u32 {
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 't'";
        connection.query_row(sql, [], |row| row.get(0)).expect("t")
    }

    #[test]
    fn rowids_come_at_equal_distances() {
        let connection = filled(
            "CREATE TABLE t (x TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < 100000) INSERT INTO t SELECT 'row ' || i FROM n",
        );
        let found = sample(&connection, "main", root(&connection), 1, 20).expect("readable");
        let found = found.expect("a large tree");
        assert_eq!(found.keys.len(), 20);
        assert!((found.rows - 100_000.0).abs() < 10_000.0, "{}", found.rows);
        for (number, key) in (0..).zip(&found.keys) {
            let [Value::Integer(rowid)] = key.as_slice() else {
                unreachable!("a rowid")
            };
            let expected = 5000 * number + 2500;
            assert!((rowid - expected).abs() < 1500, "{rowid} for {expected}");
        }
    }

    #[test]
    fn primary_keys_come_as_they_were_stored() {
        let connection = filled(
            "CREATE TABLE t (pad TEXT, b, a TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID; \
             WITH RECURSIVE n(i) AS (SELECT -4000 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) \
             INSERT INTO t SELECT hex(zeroblob(i % 500 + 500)), \
             CASE i % 4 WHEN 0 THEN i * 1000000007 WHEN 1 THEN i / 8.0 WHEN 2 THEN 'ä' || i \
             ELSE zeroblob(abs(i % 7)) END, 'key ' || i FROM n",
        );
        let found = sample(&connection, "main", root(&connection), 2, 1000).expect("readable");
        let keys = found.expect("a large tree").keys;
        assert!(keys.len() > 200, "{}", keys.len());
        let mut query = connection
            .prepare("SELECT count(*) FROM t WHERE a = ? AND b = ?")
            .expect("valid");
        let bound = |value: &Value| match value {
            Value::Integer(value) => rusqlite::types::Value::Integer(*value),
            Value::Float(value) => rusqlite::types::Value::Real(*value),
            Value::Text(value) => rusqlite::types::Value::Text(value.clone()),
            Value::Bytes(value) => rusqlite::types::Value::Blob(value.clone()),
            _ => rusqlite::types::Value::Null,
        };
        for key in keys {
            let count = query.query_row((bound(&key[0]), bound(&key[1])), |row| row.get(0));
            assert_eq!(count, Ok(1), "{key:?}");
        }
    }

    #[test]
    fn a_small_table_has_no_inner_pages() {
        let connection = filled("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)");
        let found = sample(&connection, "main", root(&connection), 1, 100).expect("readable");
        assert!(found.is_none());
    }

    #[test]
    fn bytes_that_are_no_page_give_no_keys() {
        let mut seed: u32 = 1;
        for _ in 0..500 {
            let mut data = vec![0; 128];
            for byte in &mut data {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = seed.to_be_bytes()[0];
            }
            data[0] = if seed.is_multiple_of(2) {
                INNER_INDEX
            } else {
                INNER_TABLE
            };
            let page = Page {
                data,
                start: 0,
                usable: 128,
            };
            page.inner_cells(3, |_, _| {});
            let _ = page.cell_count();
        }
    }
}
