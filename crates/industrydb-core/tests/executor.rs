//! Tests the executor on a fake database in memory whose partitions follow a script.

use std::sync::OnceLock;
use std::time::Duration;

use industrydb_core::executor::{MAX_SESSIONS, read};
use industrydb_core::workers::interruptible;
use industrydb_core::{Error, Result, Split, Stop};
use industrydb_testkit::{FakeConnector, Gate, Step};
use polars_core::prelude::DataFrame;

fn read_all(fake: &FakeConnector, queries: &[&str], sessions: usize) -> Result<DataFrame> {
    let request = FakeConnector::request(queries.iter().copied());
    let stop = Stop::default();
    read(fake, &request, None, sessions, &OnceLock::new(), &stop)
}

fn values(frame: &DataFrame) -> Vec<i64> {
    let column = frame.column("v").expect("the column");
    let column = column.cast(&polars_core::prelude::DataType::Int64);
    let column = column.expect("integers");
    let column = column.i64().expect("integers");
    column.into_no_null_iter().collect()
}

#[test]
fn rows_come_in_the_order_of_the_partitions() {
    let gate = Gate::default();
    let fake = FakeConnector::new([
        ("slow", vec![Step::Wait(gate.clone()), Step::Rows(0..2)]),
        ("fast", vec![Step::Rows(2..4), Step::Open(gate)]),
    ]);
    let frame = read_all(&fake, &["slow", "fast"], 2).expect("rows");
    assert_eq!(values(&frame), [0, 1, 2, 3]);
}

#[test]
fn every_partition_is_read_once_in_no_more_sessions_than_asked_for() {
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let scripts = (0..).zip(&names).map(|(number, name)| {
        let rows = Step::Rows(10 * number..10 * number + 10);
        (name.as_str(), vec![rows])
    });
    let fake = FakeConnector::new(scripts);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let frame = read_all(&fake, &names, 3).expect("rows");
    assert_eq!(values(&frame), (0..200).collect::<Vec<i64>>());
    let mut journal = fake.journal();
    journal.reads.sort_by_key(|name| name.parse::<u32>().ok());
    assert_eq!(journal.reads, names);
    assert!(journal.most <= 3, "{journal:?}");
    assert_eq!((journal.retired, journal.open), (3, 0));
}

#[test]
fn a_key_is_in_one_partition_wherever_the_cuts_are() {
    let keys = (0..500)
        .map(|i| (i % 7 > 0).then_some(i * i % 101))
        .collect();
    let fake = FakeConnector::table(keys);
    let mut expected: Vec<i64> = (0..500)
        .map(|i| if i % 7 > 0 { i * i % 101 } else { -1 })
        .collect();
    expected.sort_unstable();
    for partitions in [1, 2, 3, 8, 64, 4096] {
        let split = Split {
            column: Some("v".to_owned()),
            partitions,
            cuts: None,
        };
        let request = FakeConnector::request(["keys"]);
        let (meters, stop) = (OnceLock::new(), Stop::default());
        let frame = read(&fake, &request, Some(&split), MAX_SESSIONS, &meters, &stop);
        let mut found = values(&frame.expect("rows"));
        found.sort_unstable();
        assert_eq!(found, expected, "{partitions}");
    }
}

#[test]
fn the_first_error_wins_and_the_others_stop() {
    let gate = Gate::default();
    let fake = FakeConnector::new([
        ("waits", vec![Step::Open(gate.clone()), Step::WaitForStop]),
        (
            "fails",
            vec![Step::Wait(gate), Step::Fail("division by zero")],
        ),
        ("never", vec![Step::Rows(0..1)]),
    ]);
    let error = read_all(&fake, &["waits", "fails", "never"], 2).expect_err("a failure");
    let Error::Query {
        message, partition, ..
    } = error
    else {
        panic!("not the database's error: {error}");
    };
    assert!(message.contains("division by zero"), "{message}");
    assert_eq!(partition, Some(2));
    let journal = fake.journal();
    assert!(!journal.reads.contains(&"never".to_owned()), "{journal:?}");
    assert_eq!(
        (journal.now, journal.open),
        (0, 0),
        "all sessions are closed"
    );
}

#[test]
fn what_a_later_partition_makes_stale_is_read_again() {
    let gate = Gate::default();
    let fake = FakeConnector::new([
        ("narrow", vec![Step::Rows(0..2), Step::Open(gate.clone())]),
        (
            "wide",
            vec![
                Step::Wait(gate),
                Step::Widen,
                Step::Rows(1 << 40..(1 << 40) + 1),
            ],
        ),
    ]);
    let frame = read_all(&fake, &["narrow", "wide"], 1).expect("rows");
    assert_eq!(values(&frame), [0, 1, 1 << 40]);
    assert_eq!(fake.journal().reads, ["narrow", "wide", "narrow"]);
}

#[test]
fn a_query_whose_columns_change_is_planned_again() {
    let fake = FakeConnector::new([("a", vec![Step::Rows(0..2)])]);
    fake.change_columns(3);
    assert_eq!(values(&read_all(&fake, &["a"], 1).expect("rows")), [0, 1]);
    assert_eq!(fake.journal().described, 4);
    fake.change_columns(1000);
    let error = read_all(&fake, &["a"], 1).expect_err("columns that never stay");
    assert!(
        error.to_string().contains("have changed 5 times"),
        "{error}"
    );
}

#[test]
fn a_stopped_read_reads_nothing_more() {
    let fake = FakeConnector::new([("a", vec![Step::Rows(0..1)]), ("b", vec![Step::Rows(0..1)])]);
    let request = FakeConnector::request(["a", "b"]);
    let stop = Stop::default();
    stop.set();
    let error = read(&fake, &request, None, 2, &OnceLock::new(), &stop).expect_err("stopped");
    assert!(matches!(error, Error::Interrupted));
    assert!(fake.journal().reads.is_empty());
}

#[test]
fn a_read_is_interrupted_by_its_caller_its_time_or_a_fault() {
    let read = |fake: &FakeConnector, timeout, tick: &dyn Fn() -> bool| {
        let request = FakeConnector::request(["a", "b"]);
        let stop = Stop::default();
        interruptible(&stop, timeout, tick, || {
            industrydb_core::executor::read(fake, &request, None, 2, &OnceLock::new(), &stop)
        })
    };
    let waits = || {
        let steps = || vec![Step::WaitForStop];
        FakeConnector::new([("a", steps()), ("b", steps())])
    };
    let fake = waits();
    let error = read(&fake, None, &|| false).expect_err("interrupted");
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert_eq!(fake.journal().open, 0);
    let timeout = Some(Duration::from_millis(1));
    let error = read(&waits(), timeout, &|| true).expect_err("too long");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let fake = FakeConnector::new([("a", vec![Step::Panic]), ("b", vec![Step::Rows(0..1)])]);
    let error = read(&fake, None, &|| true).expect_err("a fault");
    assert!(
        error.to_string().contains("a worker thread panicked"),
        "{error}"
    );
    assert_eq!((fake.journal().now, fake.journal().open), (0, 0));
}
