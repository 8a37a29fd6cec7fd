//! Tests the transactions of a kept connection by the statements that it sends.

use std::thread;

use industrydb_core::{Error, KeptConnection, Parameters, Result, Stop};
use industrydb_testkit::FakeConnection;

/// Returns a kept connection, the fake that records its statements, and a stop signal that is not
/// set.
fn kept() -> (KeptConnection, FakeConnection, Stop) {
    let fake = FakeConnection::default();
    (
        KeptConnection::new(Box::new(fake.clone())),
        fake,
        Stop::default(),
    )
}

fn begin(kept: &mut KeptConnection, stop: &Stop) -> usize {
    kept.begin(thread::current().id(), stop)
        .expect("a transaction")
}

fn execute(kept: &mut KeptConnection, statement: &str, stop: &Stop) -> Result<()> {
    kept.execute(statement, &Parameters::default(), stop)
        .map(drop)
}

#[test]
fn transactions_within_one_another_are_savepoints() {
    let (mut kept, fake, stop) = kept();
    assert_eq!(begin(&mut kept, &stop), 1);
    assert_eq!(begin(&mut kept, &stop), 2);
    assert_eq!(begin(&mut kept, &stop), 3);
    kept.roll_back(3, &stop).expect("rolled back");
    kept.commit(2, &stop).expect("committed");
    kept.commit(1, &stop).expect("committed");
    assert_eq!(
        fake.statements(),
        [
            "BEGIN",
            "SAVEPOINT industrydb_1",
            "SAVEPOINT industrydb_2",
            "ROLLBACK_TO industrydb_2",
            "RELEASE industrydb_2",
            "RELEASE industrydb_1",
            "COMMIT"
        ]
    );
}

#[test]
fn rolling_back_the_outer_transaction_ends_those_within_it() {
    let (mut kept, fake, stop) = kept();
    begin(&mut kept, &stop);
    begin(&mut kept, &stop);
    kept.roll_back(1, &stop).expect("rolled back");
    kept.roll_back(2, &stop).expect("it has been");
    assert_eq!(
        fake.statements(),
        ["BEGIN", "SAVEPOINT industrydb_1", "ROLLBACK"]
    );
    assert_eq!(begin(&mut kept, &stop), 1);
}

#[test]
fn committing_around_an_open_transaction_takes_all_back() {
    let (mut kept, fake, stop) = kept();
    begin(&mut kept, &stop);
    begin(&mut kept, &stop);
    let error = kept.commit(1, &stop).expect_err("one is open");
    assert!(matches!(error, Error::Configuration(_)), "{error}");
    assert_eq!(
        fake.statements().last().map(String::as_str),
        Some("ROLLBACK")
    );
}

#[test]
fn a_transaction_belongs_to_the_thread_that_began_it() {
    let (mut kept, _, stop) = kept();
    begin(&mut kept, &stop);
    let error = thread::scope(|scope| {
        let other = scope.spawn(|| kept.begin(thread::current().id(), &stop));
        other.join().expect("no panic").expect_err("another thread")
    });
    assert!(error.to_string().contains("another thread"), "{error}");
}

#[test]
fn nothing_belongs_to_a_transaction_that_has_ended_by_itself() {
    let (mut kept, fake, stop) = kept();
    begin(&mut kept, &stop);
    execute(&mut kept, "END", &stop).expect("ended");
    for result in [
        execute(&mut kept, "UPDATE t", &stop),
        kept.begin(thread::current().id(), &stop).map(drop),
        kept.commit(1, &stop),
    ] {
        let error = result.expect_err("it has ended");
        assert!(error.to_string().contains("has ended by itself"), "{error}");
    }
    assert_eq!(fake.statements(), ["BEGIN", "END"]);
}

#[test]
fn a_statement_that_begins_a_transaction_keeps_ours_from_beginning() {
    let (mut kept, fake, stop) = kept();
    execute(&mut kept, "BEGIN", &stop).expect("begun");
    let error = kept
        .begin(thread::current().id(), &stop)
        .expect_err("one is open");
    assert!(error.to_string().contains("is still open"), "{error}");
    assert_eq!(fake.statements(), ["BEGIN"]);
}

#[test]
fn an_error_closes_the_connection_where_its_state_is_unknown() {
    for (statement, is_closed) in [("FAIL", false), ("BREAK", true)] {
        let (mut kept, _, stop) = kept();
        execute(&mut kept, statement, &stop).expect_err("an error");
        assert_eq!(kept.is_closed(), is_closed, "{statement}");
    }
    let (mut kept, _, stop) = kept();
    stop.set();
    execute(&mut kept, "SELECT", &stop).expect_err("interrupted");
    let error = execute(&mut kept, "SELECT", &Stop::default()).expect_err("closed");
    assert!(
        matches!(&error, Error::Closed(_)) && error.to_string().contains("interrupted"),
        "{error}"
    );
}
