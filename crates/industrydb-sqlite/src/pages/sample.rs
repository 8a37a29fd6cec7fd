//! Finds keys that split a table's b-tree evenly, without reading the rows.
//!
//! The inner pages of a table's b-tree hold a key for each page below, so the keys of one level
//! split the table into ranges of about the same number of pages. A page that cannot be parsed is
//! no error, since the keys only place cuts.

use industrydb_core::Value;
use rusqlite::Connection;

use super::page::{Kind, Layout, MAX_LEVELS, Page, PageCell};
use super::pager::{self, Pager};
use super::record::Block;
use crate::ffi::row::Cell;

/// Largest number of pages that are read of one level; a larger level is read at equal distances.
const MAX_PAGES: usize = 256;
/// Number of leaf pages whose rows are counted to estimate the number of all rows.
const LEAVES_COUNTED: usize = 8;

/// Keys of a b-tree at equal distances: the primary key's values of a row, or just its rowid.
pub(crate) struct TreeSample {
    pub(crate) keys: Vec<Vec<Value>>,
    /// Estimated number of rows in the b-tree.
    pub(crate) rows: f64,
}

/// A parsed page: its kind, its number of cells, and the pages below it with the keys between them.
struct Looked {
    is_leaf: bool,
    cells: usize,
    children: Vec<u32>,
    keys: Vec<Vec<Value>>,
}

/// Returns about `wanted` keys, each with the first `columns` values of its row; `None` for a small
/// b-tree, which has no inner pages, and if SQLite gives no pages.
pub(crate) fn sample(
    connection: &Connection,
    database: &str,
    root: u32,
    columns: usize,
    wanted: usize,
) -> rusqlite::Result<Option<TreeSample>> {
    if !pager::exists() {
        return Ok(None);
    }
    let Some(mut pager) = Pager::new(connection, database)? else {
        return Ok(None);
    };
    let layout = pager.layout;
    let mut block = Block::new(columns);
    let mut look = |number: u32| {
        let looked = pager.tree.get(number, |bytes| {
            looked(bytes, number, layout, columns, &mut block)
        });
        looked.map(Option::flatten)
    };
    let mut level = vec![root];
    let mut all_pages = 1.0; // estimated number of pages of the whole level
    for _ in 0..MAX_LEVELS {
        let (mut children, mut keys) = (Vec::new(), Vec::new());
        for number in &level {
            let Some(page) = look(*number)? else {
                return Ok(None);
            };
            children.extend(page.children);
            keys.extend(page.keys);
        }
        let Some(first) = children.first() else {
            return Ok(None);
        };
        #[expect(clippy::cast_precision_loss, reason = "about as many")]
        let children_per_page = children.len() as f64 / level.len() as f64;
        all_pages *= children_per_page;
        let Some(page) = look(*first)? else {
            return Ok(None);
        };
        if page.is_leaf {
            let mut cells = 0;
            let leaves = thinned(&children, LEAVES_COUNTED);
            for leaf in &leaves {
                cells += look(*leaf)?.map_or(0, |leaf| leaf.cells);
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "the cells of LEAVES_COUNTED pages"
            )]
            let cells_per_leaf = cells as f64 / leaves.len() as f64;
            return Ok(Some(TreeSample {
                keys: thinned(&keys, wanted),
                rows: all_pages * cells_per_leaf,
            }));
        }
        level = thinned(&children, MAX_PAGES);
    }
    Ok(None)
}

fn looked(
    bytes: &[u8],
    number: u32,
    layout: Layout,
    columns: usize,
    block: &mut Block,
) -> Option<Looked> {
    let page = Page::new(bytes, number, layout)?;
    let mut looked = Looked {
        is_leaf: page.kind.is_leaf(),
        cells: page.cell_count(),
        children: Vec::new(),
        keys: Vec::new(),
    };
    if !looked.is_leaf {
        for cell in page.cells().flatten() {
            looked.children.push(cell.child);
            looked.keys.extend(key(&cell, page.kind, columns, block));
        }
        looked.children.extend(page.last_child());
    }
    Some(looked)
}

/// Returns the key of a cell, if all of it is on the page and can be written in a statement.
fn key(cell: &PageCell, kind: Kind, columns: usize, block: &mut Block) -> Option<Vec<Value>> {
    if kind == Kind::InnerTable {
        return Some(vec![Value::Integer(cell.rowid)]);
    }
    let bytes = cell.rest.get(..cell.local)?;
    block.clear();
    block.push(0, bytes, 0, cell.payload)?;
    let value = |index| match block.field(0, index, false, bytes, Cell::Null)? {
        Cell::Null => Some(Value::Null),
        Cell::Integer(value) => Some(Value::Integer(value)),
        Cell::Real(value) => Some(Value::Float(value)),
        Cell::Text(text) => literal_text(text).map(Value::Text),
        Cell::Blob(bytes) => Some(Value::Bytes(bytes.to_vec())),
    };
    (0..columns).map(value).collect()
}

/// Returns at most `count` of the items, at equal distances.
fn thinned<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    let count = count.clamp(1, items.len().max(1));
    // Each item is from the middle of its stretch, so that the first and the last one are equally
    // far from the ends.
    let at = |number: usize| (2 * number + 1) * items.len() / (2 * count);
    (0..count)
        .filter_map(|number| items.get(at(number)).cloned())
        .collect()
}

/// Returns the bytes as text, if it can be written in a statement: other keys serve as well as one
/// that cannot.
pub(crate) fn literal_text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then(|| text.to_owned())
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
}
