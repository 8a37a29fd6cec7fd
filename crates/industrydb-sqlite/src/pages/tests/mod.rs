//! Compares the page decoder with the step loop: same columns, same rows, same order.

use industrydb_core::{Chunk, ColumnType, Meter, Output, Result, Stop, Value};
use polars_arrow::array::Array;
use rusqlite::{Connection, types};

use self::folder::Folder;
use self::random::Random;
use super::read;
use super::refusal::{Refusal, VERSION};
use super::spans::Spans;
use super::table::{Key, Range, prove};
use crate::columns::rows;
use crate::ffi::cursor::Cursor;
use crate::ffi::memory;
use crate::fuzzing::{described, file};

pub(crate) mod folder;
mod random;

/// Columns with their types.
type Columns = Vec<(ColumnType, Box<dyn Array>)>;

fn columns(chunk: Chunk) -> Columns {
    let columns = chunk.columns.into_iter();
    columns
        .map(|column| (column.column_type, column.array))
        .collect()
}

/// Reads the rows by the step loop.
fn stepped(connection: &Connection, sql: &str) -> Result<Columns> {
    let stop = Stop::default();
    let mut cursor = Cursor::prepare(connection, sql, &stop)?;
    let (fields, kinds) = described(&cursor);
    let chunk = Output::whole(&Meter::default(), |output| {
        rows::step(&mut cursor, &fields, &kinds, output, &stop)
    })?;
    Ok(columns(chunk))
}

/// Reads the rows of a range from the pages.
fn decoded(
    connection: &Connection,
    sql: &str,
    range: Option<(&Range, &Spans)>,
) -> Result<std::result::Result<Columns, Refusal>> {
    let stop = Stop::default();
    let (range, spans) = range.unzip();
    let proven = match prove(connection, sql, range, &stop)? {
        Ok(proven) => proven,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (fields, kinds) = described(&Cursor::prepare(connection, sql, &stop)?);
    let chunk = Output::whole(&Meter::default(), |output| {
        read::read(connection, &proven, spans, &fields, &kinds, output, &stop)
    })?;
    Ok(Ok(columns(chunk)))
}

/// Returns notes for ranges that are read in one transaction.
fn shared() -> Spans {
    let spans = Spans::default();
    spans.begin(true);
    spans
}

fn filled(script: &str) -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    connection.execute_batch(script).expect("valid");
    connection.execute_batch("BEGIN").expect("begun");
    connection
}

fn assert_same(connection: &Connection, sql: &str) {
    let pages = decoded(connection, sql, None).expect("readable");
    let pages = pages.unwrap_or_else(|refusal| unreachable!("{sql}: {refusal}"));
    assert!(
        pages == stepped(connection, sql).expect("readable"),
        "{sql}"
    );
}

const MANY: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) ";

#[test]
fn tables_with_a_rowid_come_alike() {
    let connection = filled(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, n NUMERIC, x, s TEXT, d DATE); \
         {MANY} INSERT INTO t SELECT i * 3, i / 4.0, i * 1000003 * (i % 3 - 1), \
         CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN zeroblob(i % 50) WHEN 2 THEN 'x' || i ELSE -i END, \
         substr(hex(zeroblob(3000)), 1, i * 7 % 6000), date('1970-01-01', i || ' days') FROM n"
    ));
    for sql in [
        "SELECT * FROM t",
        "SELECT s, r FROM t",
        "SELECT d AS x, id, id, rowid FROM t ORDER BY rowid",
        "SELECT r FROM (SELECT id, r FROM t)",
        "SELECT +n, n COLLATE NOCASE FROM t",
    ] {
        assert_same(&connection, sql);
    }
}

#[test]
fn tables_without_a_rowid_come_alike() {
    let connection = filled(&format!(
        "CREATE TABLE t (s TEXT, r REAL, k INTEGER, x, PRIMARY KEY (k, r)) WITHOUT ROWID; \
         {MANY} INSERT INTO t SELECT substr(hex(zeroblob(3000)), 1, i * 7 % 6000), i, i / 7, \
         CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN zeroblob(i % 50) WHEN 2 THEN 'x' || i ELSE -i END FROM n; \
         CREATE TABLE u (a TEXT COLLATE NOCASE, b, c, PRIMARY KEY (c DESC, a)) WITHOUT ROWID; \
         {MANY} INSERT INTO u SELECT 'a' || i, i, i % 17 FROM n;"
    ));
    for sql in [
        "SELECT * FROM t",
        "SELECT x, k FROM t",
        "SELECT r FROM t",
        "SELECT * FROM u",
        "SELECT b FROM u",
    ] {
        assert_same(&connection, sql);
    }
}

#[test]
fn records_that_are_older_than_a_column_have_its_default() {
    let connection = filled(&format!(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2); \
         ALTER TABLE t ADD COLUMN b REAL DEFAULT 5; ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'NULL'; \
         ALTER TABLE t ADD COLUMN d DEFAULT NULL; ALTER TABLE t ADD COLUMN e TEXT DEFAULT ''; \
         ALTER TABLE t ADD COLUMN f INTEGER DEFAULT '12'; ALTER TABLE t ADD COLUMN g TEXT DEFAULT 12; \
         ALTER TABLE t ADD COLUMN h DEFAULT x'00ff'; ALTER TABLE t ADD COLUMN i INTEGER DEFAULT -7.0; \
         INSERT INTO t DEFAULT VALUES; CREATE TABLE w (k PRIMARY KEY, a) WITHOUT ROWID; \
         {MANY} INSERT INTO w SELECT i, i FROM n; ALTER TABLE w ADD COLUMN r REAL DEFAULT 7; \
         CREATE TABLE s (a TEXT) STRICT; INSERT INTO s VALUES ('a'); \
         ALTER TABLE s ADD COLUMN b ANY DEFAULT '12'; ALTER TABLE s ADD COLUMN c INT DEFAULT 3; \
         CREATE TABLE now (a, at TEXT DEFAULT CURRENT_TIMESTAMP); INSERT INTO now VALUES (1, 2);"
    ));
    for sql in [
        "SELECT * FROM t",
        "SELECT i, b FROM t",
        "SELECT * FROM w",
        "SELECT r FROM w",
        "SELECT * FROM s",
        "SELECT * FROM now",
    ] {
        assert_same(&connection, sql);
    }
}

#[test]
fn partitions_have_the_rows_that_sqlite_finds() {
    let some = MANY.replace("3000", "700");
    let connection = filled(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, r REAL, s TEXT, x, c TEXT COLLATE NOCASE, pad TEXT); \
         {some} INSERT INTO t SELECT i * 3 - 900, nullif(i * 7919 % 1000, 5), i / 4.0 - 90, 'k' || i % 100, \
         CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i + 0.5 WHEN 3 THEN 'x' || i ELSE zeroblob(i % 9) END, \
         'c', hex(zeroblob(i % 300)) FROM n; \
         CREATE TABLE w (k INTEGER, s TEXT, r REAL, pad TEXT, PRIMARY KEY (k, s)) WITHOUT ROWID; \
         INSERT INTO w SELECT coalesce(k, 0), s || id, r, pad FROM t; \
         CREATE TABLE d (k INTEGER, s TEXT, PRIMARY KEY (k DESC, s)) WITHOUT ROWID; INSERT INTO d SELECT k, s FROM w"
    ));
    let whole: Vec<i64> = vec![
        i64::MIN,
        -3000,
        -2999,
        0,
        1,
        2,
        500,
        700,
        5998,
        6000,
        i64::MAX,
    ];
    let integers: Vec<Value> = whole.into_iter().map(Value::Integer).collect();
    let floats = [
        f64::NEG_INFINITY,
        -89.75,
        0.0,
        10.5,
        2999.5,
        1e300,
        f64::INFINITY,
    ]
    .map(Value::Float);
    let texts = ["", "k5", "k50", "x", "zz"].map(|text| Value::Text(text.to_owned()));
    let blobs = [vec![], vec![0, 0], vec![255]].map(Value::Bytes);
    let numbers = [integers.as_slice(), &floats].concat();
    let all = [numbers.as_slice(), &texts, &blobs].concat();
    for (table, column, index, bounds) in [
        ("t", "id", 0, &numbers),
        ("t", "k", 1, &numbers),
        ("t", "r", 2, &numbers),
        ("t", "s", 3, &texts.to_vec()),
        ("t", "x", 4, &all),
        ("w", "k", 0, &numbers),
        ("w", "s", 1, &texts.to_vec()),
        ("w", "r", 2, &numbers),
        ("d", "k", 0, &numbers),
    ] {
        let sql = format!("SELECT * FROM {table}");
        let spans = shared();
        let ends = || [None].into_iter().chain(bounds.iter().map(Some));
        for lower in ends() {
            for upper in ends() {
                if lower.is_none() && upper.is_none() {
                    continue;
                }
                let range = Range {
                    key: Key::Column(index),
                    lower: lower.cloned(),
                    upper: upper.cloned(),
                };
                let part = crate::sql::derived::range(&sql, column, false, lower, upper);
                let pages = decoded(&connection, &sql, Some((&range, &spans))).expect("readable");
                let pages = pages.unwrap_or_else(|refusal| unreachable!("{part}: {refusal}"));
                assert!(
                    pages == stepped(&connection, &part).expect("readable"),
                    "{part}"
                );
            }
        }
    }
    let range = Range {
        key: Key::Column(5),
        lower: None,
        upper: Some(Value::Text("d".to_owned())),
    };
    let refused =
        decoded(&connection, "SELECT * FROM t", Some((&range, &shared()))).expect("readable");
    assert!(matches!(refused, Err(Refusal::Key(_))));
}

/// Ranges of a table with thousands of pages have their rows, whatever order the keys have, and
/// whatever the ranges before have noted.
#[test]
fn ranges_of_many_pages_have_their_rows() {
    let some = MANY.replace("3000", "16000");
    let row = "'row ' || i || hex(zeroblob(80))";
    let last = "CASE WHEN i = 15990 THEN CAST(x'ff' AS TEXT) ELSE 'row ' || i END";
    let mut random = random::Random(7);
    for (name, key, text) in [
        ("in order", "i", row),
        ("one in front", "iif(i = 3, 8000, i)", row),
        ("NULLs", "iif(i % 5000 = 0, NULL, i)", row),
        ("in the opposite order", "-i", row),
        ("in no order", "i * 7919 % 16007", row),
        ("few keys", "i / 6000", row),
        ("floats", "iif(i > 9000, i + 0.5, i)", row),
        ("no text at the end", "iif(i = 3, 8000, i)", last),
    ] {
        let connection = filled(&format!(
            "PRAGMA page_size = 512; CREATE TABLE t (k INTEGER, s TEXT); {some} INSERT INTO t SELECT {key}, {text} FROM n"
        ));
        let spans = shared();
        let mut cut = || {
            let cut = i64::try_from(random.below(17_000)).expect("small") - 500;
            let cut = if key == "-i" { -cut } else { cut };
            (!random.is(4)).then_some(Value::Integer(cut))
        };
        for _ in 0..12 {
            let (lower, upper) = (cut(), cut());
            if lower.is_none() && upper.is_none() {
                continue;
            }
            let range = Range {
                key: Key::Column(0),
                lower: lower.clone(),
                upper: upper.clone(),
            };
            let sql = "SELECT * FROM t";
            let part = crate::sql::derived::range(sql, "k", false, lower.as_ref(), upper.as_ref());
            let shown = |columns: Result<Columns>| columns.map_err(|error| error.to_string());
            let pages = decoded(&connection, sql, Some((&range, &spans)));
            let pages = pages.map(|pages| pages.unwrap_or_else(|why| unreachable!("{why}")));
            assert!(
                shown(pages) == shown(stepped(&connection, &part)),
                "{name}: {part}"
            );
        }
    }
}

/// Returns a file of small pages, with b-trees of both kinds and records with overflow pages.
fn file_bytes() -> Vec<u8> {
    let some = MANY.replace("3000", "120");
    let connection = Connection::open_in_memory().expect("memory");
    let script = format!(
        "PRAGMA page_size = 512; CREATE TABLE t (a INTEGER, r REAL, s TEXT, b BLOB); {some} INSERT INTO t \
         SELECT i, i / 4.0, 'text ' || i, zeroblob(i * 7919 % 1100) FROM n; \
         CREATE TABLE w (k TEXT, x, PRIMARY KEY (k, x)) WITHOUT ROWID; {some} INSERT INTO w \
         SELECT substr(hex(zeroblob(400)), 1, i * 31 % 700) || i, i FROM n"
    );
    connection.execute_batch(&script).expect("valid");
    let path = std::env::temp_dir().join(format!("industrydb-pages-{}.db", std::process::id()));
    let copied = connection.execute("VACUUM INTO ?", [path.display().to_string()]);
    let bytes = std::fs::read(&path);
    let _ = std::fs::remove_file(&path);
    copied.expect("copied");
    bytes.expect("a file")
}

#[test]
fn damaged_pages_are_read_or_refused() {
    let whole = file_bytes();
    assert_eq!(file(&whole), 2);
    let mut random = Random(1);
    let (mut read, mut tried) = (0, 0);
    for _ in 0..600 {
        let mut damaged = whole.clone();
        for _ in 0..random.one(&[1, 3, 30]) {
            let at = 512 + random.below(damaged.len() - 512);
            damaged[at] = random.one(&[0, 1, 2, 5, 10, 13, 127, 128, 255]);
        }
        if random.is(10) {
            damaged.truncate(random.below(damaged.len()));
        }
        read += file(&damaged);
        tried += 2;
    }
    assert!((100..tried).contains(&read), "{read} of {tried}");
}

#[test]
fn each_other_reason_to_step_is_given() {
    let refused = |connection: &Connection, sql: &str| match decoded(connection, sql, None) {
        Ok(Err(refusal)) => refusal,
        _ => unreachable!("{sql}"),
    };
    let plain = "CREATE TABLE t (a, b); CREATE INDEX ta ON t (a); INSERT INTO t VALUES (1, 2)";
    let connection = filled(&format!("{plain}; CREATE TEMP TABLE u (a)"));
    assert_eq!(refused(&connection, "SELECT a FROM t"), Refusal::NoTable);
    assert_eq!(
        refused(&connection, "SELECT * FROM sqlite_schema"),
        Refusal::NoTable
    );
    assert_eq!(refused(&connection, "SELECT * FROM u"), Refusal::Temporary);
    assert!(matches!(
        refused(&connection, "SELECT b + 1 FROM t"),
        Refusal::Unproven(_)
    ));
    connection.execute_batch("COMMIT").expect("ended");
    assert_eq!(
        refused(&connection, "SELECT b FROM t"),
        Refusal::NoTransaction
    );
    let wide = filled(&format!("PRAGMA encoding = 'UTF-16'; {plain}"));
    assert_eq!(refused(&wide, "SELECT b FROM t"), Refusal::Encoding);
    let generated = filled("CREATE TABLE w (k PRIMARY KEY, x AS (k) STORED) WITHOUT ROWID");
    assert_eq!(refused(&generated, "SELECT * FROM w"), Refusal::Columns);
    assert_eq!(
        rusqlite::version_number(),
        VERSION,
        "prove the new version's programs"
    );
}

#[test]
fn what_a_writer_commits_meanwhile_is_not_seen() {
    let folder = Folder::new("meanwhile");
    let writer = folder.connect();
    let script = format!(
        "PRAGMA journal_mode = WAL; CREATE TABLE t (i INTEGER PRIMARY KEY, s TEXT); \
         {MANY} INSERT INTO t SELECT i, 'old ' || i FROM n"
    );
    writer.execute_batch(&script).expect("written");
    let reader = folder.connect();
    reader
        .execute_batch("BEGIN; SELECT 1 FROM sqlite_schema")
        .expect("begun");
    let sql = "SELECT * FROM t";
    let before = stepped(&reader, sql).expect("readable");
    writer
        .execute_batch("UPDATE t SET s = 'new'; DELETE FROM t WHERE i % 2")
        .expect("written");
    assert!(decoded(&reader, sql, None).is_ok_and(|pages| pages == Ok(before)));
    assert_same(&reader, sql);
    // The reader's connection has not loaded the new schema yet, so that its program was compiled
    // for the old one.
    reader.execute_batch("COMMIT").expect("ended");
    writer
        .execute_batch("ALTER TABLE t ADD COLUMN x")
        .expect("altered");
    reader.execute_batch("BEGIN").expect("begun");
    let changed = decoded(&reader, sql, None).expect("readable");
    assert!(matches!(changed, Err(Refusal::Changed)));
    reader.execute_batch("SELECT 1 FROM t").expect("known now");
    assert_same(&reader, sql);
}

#[test]
fn reserved_bytes_belong_to_no_record() {
    let connection = memory::with_reserved_bytes(40);
    let script = format!(
        "PRAGMA page_size = 1024; VACUUM; CREATE TABLE t (i INTEGER, b BLOB); \
         {MANY} INSERT INTO t SELECT i, zeroblob(i) || 'x' FROM n; BEGIN"
    );
    connection.execute_batch(&script).expect("filled");
    let header: Vec<u8> = connection
        .query_row("SELECT data FROM sqlite_dbpage WHERE pgno = 1", [], |row| {
            row.get(0)
        })
        .expect("a page");
    assert_eq!(header[20], 40);
    assert_same(&connection, "SELECT * FROM t");
}

#[test]
fn rows_of_many_columns_on_a_large_page_are_handed_over_in_pieces() {
    let added = |number| format!("ALTER TABLE t ADD COLUMN c{number} DEFAULT {number};");
    let added: String = (0..100).map(added).collect();
    let script = format!(
        "PRAGMA page_size = 65536; CREATE TABLE t (a); {MANY} INSERT INTO t SELECT i FROM n; {added}"
    );
    assert_same(&filled(&script), "SELECT * FROM t");
}
