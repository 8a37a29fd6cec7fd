//! Reads beside a writer: the columns must be those that were described, and no deadlock may occur,
//! in which one connection of a read waits for a writer that itself waits for another connection of
//! the same read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use industrydb_core::{
    Database, DatabaseConfig, DatabaseConnector, Described, Error, Parameters, Request, Result,
    Stop,
};
use industrydb_sqlite::SqliteConnector;
use rusqlite::Connection;

/// Lock timeout of a writer: longer than any test may take.
const LONG: Duration = Duration::from_secs(60);

/// A database file of its own for a test, removed when dropped.
struct File(PathBuf);

impl File {
    fn new(setup: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("industrydb-reload-{}-{number}.db", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.connect().execute_batch(setup).expect("valid");
        file
    }

    /// Opens a connection of another user of the file.
    fn connect(&self) -> Connection {
        let connection = Connection::open(&self.0).expect("a file");
        connection.busy_timeout(LONG).expect("a number");
        connection
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn describe(&self, sql: &str, snapshot: bool, setup: &[&str]) -> Described {
        let config = DatabaseConfig {
            database: Some(self.path().display().to_string()),
            ..DatabaseConfig::new(&SqliteConnector::SCHEME)
        };
        let request = Request {
            queries: vec![sql.to_owned()],
            parameters: Parameters::default(),
            setup: setup.iter().map(|sql| (*sql).to_owned()).collect(),
            snapshot,
            held: None,
            overrides: Vec::new(),
            settled: Vec::new(),
            narrowing: None,
        };
        let connector = SqliteConnector::new(&config).expect("a file");
        connector
            .describe(&request, &Stop::default())
            .expect("valid")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

/// Starts a writer, and waits until it keeps new readers out because the file is being read.
fn waiting_writer(file: &File, sql: &'static str) -> thread::JoinHandle<()> {
    let writer = file.connect();
    let writing = thread::spawn(move || writer.execute_batch(sql).expect("written in the end"));
    let probe = file.connect();
    probe.busy_timeout(Duration::ZERO).expect("a number");
    let is_kept_out = || {
        let read = probe.query_row("SELECT count(*) FROM t", [], |_| Ok(()));
        read.is_err()
    };
    while !is_kept_out() {
        thread::yield_now();
    }
    writing
}

/// Reads the whole query, and returns the number of its rows.
fn read(query: &Described) -> Result<usize> {
    let chunk = query.read(&query.whole(0).expect("a query"), &Stop::default())?;
    Ok(chunk.height)
}

#[test]
fn a_waiting_writer_is_let_through_before_several_connections_begin() {
    for snapshot in [true, false] {
        let file = File::new("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)");
        let query = file.describe("SELECT a FROM t", snapshot, &[]);
        let writing = waiting_writer(&file, "INSERT INTO t VALUES (3)");
        let stop = Stop::default();
        let begun = if snapshot {
            query.reader.begin(4, 4, &stop).map(drop)
        } else {
            query.reader.begin_apart(4, &stop).map(drop)
        };
        begun.expect("all connections begin");
        writing.join().expect("the writer has gone through");
        assert_eq!(read(&query).expect("the rows"), 3);
    }
}

#[test]
fn connections_that_began_together_read_beside_a_writer_that_waits() {
    for snapshot in [true, false] {
        let file = File::new("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)");
        let query = file.describe("SELECT a FROM t", snapshot, &[]);
        let stop = Stop::default();
        let begun = if snapshot {
            query.reader.begin(4, 4, &stop).map(drop)
        } else {
            query.reader.begin_apart(4, &stop).map(drop)
        };
        begun.expect("all connections begin");
        let writing = waiting_writer(&file, "DELETE FROM t");
        let all = thread::scope(|scope| {
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| read(&query))).collect();
            let rows = |reader: thread::ScopedJoinHandle<Result<usize>>| reader.join();
            readers.into_iter().map(rows).collect::<Vec<_>>()
        });
        for rows in all {
            assert_eq!(rows.expect("no panic").expect("the rows"), 2);
        }
        drop(query);
        writing.join().expect("the writer has gone through");
    }
}

#[test]
fn who_waits_to_begin_gives_up_with_what_to_do() {
    let file = File::new("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)");
    let query = file.describe("SELECT a FROM t", true, &["PRAGMA busy_timeout = 50"]);
    let reader = file.connect();
    reader
        .execute_batch("BEGIN; SELECT * FROM t")
        .expect("valid");
    let writing = waiting_writer(&file, "DELETE FROM t");
    let error = query
        .reader
        .begin(2, 2, &Stop::default())
        .expect_err("kept out");
    assert_eq!(error.code(), Some("SQLITE_BUSY"), "{error}");
    assert!(error.to_string().contains("journal_mode = WAL"), "{error}");
    let stop = Stop::default();
    stop.set();
    let error = query.reader.begin(2, 2, &stop).expect_err("stopped");
    assert!(matches!(error, Error::Interrupted), "{error}");
    reader.execute_batch("COMMIT").expect("valid");
    writing.join().expect("the writer has gone through");
}

#[test]
fn columns_that_changed_since_they_were_described_are_refused() {
    const TABLE: &str = "CREATE TABLE t (a INTEGER, b INTEGER); INSERT INTO t VALUES (1, 2)";
    for (change, now) in [
        ("ALTER TABLE t ADD COLUMN c TEXT", "\"c\" TEXT"),
        ("ALTER TABLE t DROP COLUMN b", "are \"a\" INTEGER;"),
        (
            "ALTER TABLE t RENAME COLUMN b TO c",
            "\"a\" INTEGER, \"c\" INTEGER;",
        ),
        (
            "DROP TABLE t; CREATE TABLE t (b INTEGER, a INTEGER)",
            "\"b\" INTEGER, \"a\" INTEGER;",
        ),
        (
            "DROP TABLE t; CREATE TABLE t (a INTEGER, b REAL)",
            "\"a\" INTEGER, \"b\" REAL;",
        ),
    ] {
        for journal in ["DELETE", "WAL"] {
            let file = File::new(&format!("PRAGMA journal_mode = {journal}; {TABLE}"));
            // The setup statement makes the connection cache the schema that is then changed.
            let query = file.describe("SELECT * FROM t", true, &["SELECT * FROM t"]);
            let changing = (journal == "DELETE").then(|| waiting_writer(&file, change));
            if journal == "WAL" {
                file.connect().execute_batch(change).expect("valid");
            }
            query.reader.begin(3, 3, &Stop::default()).expect("begun");
            if let Some(changing) = changing {
                changing.join().expect("the writer has gone through");
            }
            let error = read(&query).expect_err("other columns");
            assert_eq!(error.code(), Some("SQLITE_SCHEMA"), "{error}");
            let message = error.to_string();
            assert!(
                message.contains("they were \"a\" INTEGER, \"b\" INTEGER"),
                "{message}"
            );
            assert!(message.contains(now), "{message}");
        }
    }
}

/// A path that leads to another file by the time the connections are open would give partitions of
/// two files, so the query has to be described again. Without a snapshot, this holds where the
/// connections begin together: not in WAL mode, where each partition sees the state at its own time.
#[test]
fn a_file_that_was_replaced_is_described_again() {
    for mode in ["delete", "wal"] {
        let setup = format!("PRAGMA journal_mode = {mode}; CREATE TABLE t AS SELECT 1 AS a");
        let (file, other) = (File::new(&setup), File::new(&setup));
        let query = file.describe("SELECT a FROM t", true, &[]);
        std::fs::rename(other.path(), file.path()).expect("renamed");
        let begun = query.reader.begin(2, 2, &Stop::default());
        assert_eq!(begun.expect("begun"), None, "{mode}");
        let apart = query.reader.begin_apart(2, &Stop::default());
        assert_eq!(apart.expect("begun"), mode == "wal", "{mode}");
        drop(query);
        let again = file.describe("SELECT a FROM t", true, &[]);
        let begun = again.reader.begin(2, 2, &Stop::default());
        assert_eq!(begun.expect("begun"), Some(2), "{mode}");
        let apart = again.reader.begin_apart(2, &Stop::default());
        assert!(apart.expect("begun"), "{mode}");
    }
}
