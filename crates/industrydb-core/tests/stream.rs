//! Tests streams on a fake database in memory whose partitions follow a script.

use std::time::{Duration, Instant};

use industrydb_core::stream::{Options, Stream};
use industrydb_core::{Error, Result, Stop};
use industrydb_testkit::fake::PATIENCE;
use industrydb_testkit::{FakeConnector, Gate, Step};
use polars_core::prelude::DataFrame;

fn options(batch_rows: usize, separately: bool) -> Options {
    Options {
        batch_rows,
        separately,
        max_sessions: 8,
        known: Vec::new(),
        timeout: None,
    }
}

fn start(fake: &FakeConnector, queries: &[&str], options: &Options) -> Stream {
    let request = FakeConnector::request(queries.iter().copied());
    let stop = Stop::default();
    Stream::start(fake, &request, None, options, &stop).expect("a stream")
}

/// Waits for the next message of a channel.
fn receive(stream: &Stream, channel: usize) -> Result<Option<DataFrame>> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(message) = stream.receive(channel) {
            return message;
        }
        assert!(Instant::now() < until, "nothing comes");
    }
}

fn values(frame: &DataFrame) -> Vec<i32> {
    let column = frame.column("v").expect("the column");
    column
        .i32()
        .expect("integers")
        .into_no_null_iter()
        .collect()
}

#[test]
fn batches_come_in_order_and_each_partition_says_when_it_ends() {
    let fake = FakeConnector::new([("a", vec![Step::Rows(0..5)]), ("b", vec![Step::Rows(5..7)])]);
    let stream = start(&fake, &["a", "b"], &options(2, true));
    assert_eq!(stream.schema().get_column_names(), ["v"]);
    assert_eq!(stream.channel_count(), 2);
    let mut found = Vec::new();
    for channel in 0..2 {
        while let Some(batch) = receive(&stream, channel).expect("a batch") {
            found.push(values(&batch));
        }
    }
    assert_eq!(found, [vec![0, 1], vec![2, 3], vec![4], vec![5, 6]]);
    drop(stream);
    assert_eq!((fake.journal().now, fake.journal().open), (0, 0));
}

#[test]
fn a_partition_waits_until_its_batches_are_taken() {
    for (separately, waiting) in [(true, 0), (false, 1)] {
        let gate = Gate::default();
        let endless = vec![Step::Open(gate.clone()), Step::Rows(0..i64::from(i32::MAX))];
        let fake = FakeConnector::new([("endless", endless)]);
        let mut stream = start(&fake, &["endless"], &options(10, separately));
        gate.wait(&Stop::default()).expect("the read begins");
        for taken in 1..50 {
            receive(&stream, 0).expect("a batch").expect("a batch");
            let pushed = fake.journal().pushed;
            assert!(pushed <= taken + waiting, "{pushed} of {taken} taken");
        }
        stream.close();
        let journal = fake.journal();
        assert_eq!((journal.now, journal.open), (0, 0), "{journal:?}");
    }
}

#[test]
fn an_error_comes_behind_the_batches_before_it() {
    let fake = FakeConnector::new([("a", vec![Step::Rows(0..2), Step::Fail("disk full")])]);
    let stream = start(&fake, &["a"], &options(2, false));
    assert_eq!(
        values(&receive(&stream, 0).expect("a batch").expect("rows")),
        [0, 1]
    );
    let error = receive(&stream, 0).expect_err("the failure");
    assert!(error.to_string().contains("disk full"), "{error}");
}

#[test]
fn a_stream_that_is_dropped_ends_what_it_reads() {
    let gate = Gate::default();
    let steps = vec![Step::Open(gate.clone()), Step::WaitForStop];
    let fake = FakeConnector::new([("a", steps)]);
    let stream = start(&fake, &["a"], &options(2, false));
    gate.wait(&Stop::default()).expect("the read begins");
    drop(stream);
    assert_eq!((fake.journal().now, fake.journal().open), (0, 0));
}

#[test]
fn a_fault_of_a_worker_and_the_end_of_the_time_are_errors() {
    let fake = FakeConnector::new([("a", vec![Step::Panic])]);
    let error = receive(&start(&fake, &["a"], &options(2, false)), 0).expect_err("a fault");
    assert!(matches!(error, Error::Internal(_)), "{error}");
    let fake = FakeConnector::new([("a", vec![Step::WaitForStop])]);
    let in_time = Options {
        timeout: Some(Duration::from_millis(1)),
        ..options(2, false)
    };
    let stream = start(&fake, &["a"], &in_time);
    let error = receive(&stream, 0).expect_err("too long");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}
