//! Tests a stream that reads on the session of a kept connection.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use industrydb_core::stream::Options;
use industrydb_core::{Error, KeptConnection, Lent, Parameters, Request, Result, Stop, Stream};
use industrydb_testkit::FakeConnection;
use industrydb_testkit::connection::ROWS;

/// A kept connection as Python's sessions hold it, and the fake that records its statements.
struct Home {
    kept: Arc<Mutex<KeptConnection>>,
    fake: FakeConnection,
}

impl Home {
    fn new() -> Self {
        let fake = FakeConnection::default();
        let kept = KeptConnection::new(Box::new(fake.clone()));
        Self {
            kept: Arc::new(Mutex::new(kept)),
            fake,
        }
    }

    fn kept(&self) -> MutexGuard<'_, KeptConnection> {
        self.kept.lock().expect("no call has panicked")
    }

    /// Begins to read a query on the session.
    fn read(&self, query: &str) -> Result<Stream> {
        let stop = Stop::default();
        let lent = self.kept().lend(query, &stop)?;
        let connector = Lent::new(lent, Arc::clone(&self.kept));
        let options = Options {
            batch_rows: 1,
            separately: true,
            max_sessions: 1,
            known: Vec::new(),
            timeout: None,
        };
        let request = Request::of(query, &Parameters::default(), &[]);
        Stream::start(&connector, &request, None, &options, &stop)
    }

    fn execute(&self, statement: &str) -> Result<()> {
        let stop = Stop::default();
        let done = self
            .kept()
            .execute(statement, &Parameters::default(), &stop);
        done.map(drop)
    }
}

/// Returns the number of rows of a stream, or the error that ends it.
fn rows(stream: &Stream) -> Result<usize> {
    let mut rows = 0;
    loop {
        match stream.receive(0) {
            Some(Ok(Some(batch))) => rows += batch.height(),
            Some(Ok(None)) => return Ok(rows),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
}

#[test]
fn a_reader_has_the_session_until_its_last_row() {
    let home = Home::new();
    let mut stream = home.read("SELECT n").expect("a stream");
    let busy = home.execute("SELECT 1").expect_err("the reader has it");
    assert!(matches!(busy, Error::Configuration(_)), "{busy}");
    assert!(busy.to_string().contains("\"SELECT n\""), "{busy}");
    assert!(home.read("SELECT m").is_err());
    assert!(home.kept().is_lent() && !home.kept().is_closed());
    assert_eq!(Ok(rows(&stream).expect("all rows")), usize::try_from(ROWS));
    stream.close();
    assert!(!home.kept().is_lent());
    home.execute("SELECT 2").expect("the session is free");
    assert_eq!(home.fake.statements(), ["SELECT n", "SELECT 2"]);
}

#[test]
fn a_reader_that_ends_early_or_fails_gives_the_session_back() {
    let home = Home::new();
    let stop = Stop::default();
    let owner = thread::current().id();
    home.kept().begin(owner, &stop).expect("a transaction");
    let stream = home.read("SELECT n").expect("a stream");
    while stream.receive(0).is_none() {}
    drop(stream);
    let stream = home.read("FAIL").expect("a stream");
    let error = rows(&stream).expect_err("a scripted failure");
    assert!(matches!(error, Error::Query { .. }), "{error}");
    drop(stream);
    home.kept().commit(1, &stop).expect("the same transaction");
    assert_eq!(
        home.fake.statements(),
        ["BEGIN", "SELECT n", "(ended)", "FAIL", "(ended)", "COMMIT"]
    );
}

#[test]
fn a_session_that_breaks_is_closed_and_says_why() {
    for (query, reason) in [
        ("BREAK", "scripted break"),
        ("PANIC", "failed in the middle"),
    ] {
        let home = Home::new();
        let mut stream = home.read(query).expect("a stream");
        rows(&stream).expect_err("a broken session");
        stream.close();
        assert!(home.kept().is_closed());
        let error = home.execute("SELECT 1").expect_err("it is closed");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn closing_the_connection_ends_the_reader() {
    let home = Home::new();
    let stream = home.read("SELECT n").expect("a stream");
    home.kept().close(": on purpose");
    assert!(home.kept().is_closed());
    let started = Instant::now();
    let error = rows(&stream).expect_err("it was ended");
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    drop(stream);
    assert!(home.kept().is_closed(), "the session does not come back");
}

#[test]
fn a_transaction_does_not_end_while_a_reader_has_it() {
    let home = Home::new();
    let stop = Stop::default();
    let owner = thread::current().id();
    home.kept().begin(owner, &stop).expect("a transaction");
    let stream = home.read("SELECT n").expect("a stream");
    assert!(home.kept().commit(1, &stop).is_err());
    assert!(home.kept().roll_back(1, &stop).is_err());
    assert!(home.kept().stop_reader());
    drop(stream);
    assert!(!home.kept().stop_reader());
    home.kept().roll_back(1, &stop).expect("rolled back");
    assert_eq!(
        home.fake.statements().last().map(String::as_str),
        Some("ROLLBACK")
    );
}
