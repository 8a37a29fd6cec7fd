//! Tests of bulk loads: the bytes of values, and values that do not fit.

use industrydb_core::stack::stack;
use industrydb_core::{DatabaseConnector, Error, Frame, OnConflict, Parameters, Partition, Stop};
use polars_core::prelude::{
    DataFrame, DataType, IntoSeries, NamedFrom, Series, TimeUnit, TimeZone,
};

use crate::script::{BULK_LOAD, DONE, QUERY, Script, error, request, rows};
use crate::table::{inserted, with_a_table};
use crate::tds::{self, columns, done};
use crate::values::TYPES;

/// A value that was read is written with the same bytes, except for types that are written in
/// another form or not at all.
#[test]
fn what_was_read_is_written_with_the_same_bytes() {
    let mut count = 0;
    for (type_name, type_info, value, null, _) in TYPES {
        // Documents are sent as text, legacy values without their pointer, points in time without
        // their zone, and long values in chunks.
        let differs = [
            "sql_variant",
            "xml",
            "json",
            "text",
            "ntext",
            "image",
            "hierarchyid",
            "datetimeoffset(7)",
            "nvarchar(max)",
            "varbinary(max)",
        ];
        if differs.contains(&type_name) {
            continue;
        }
        let (connector, _) = Script::new(type_name, rows(type_info, value, null)).serve();
        let stop = Stop::default();
        let described = connector
            .describe(&request(QUERY, Parameters::default()), &stop)
            .expect(type_name);
        let chunk = described
            .read(&Partition::whole(0, QUERY), &stop)
            .expect(type_name);
        let frame = stack(&described.fields, vec![chunk]).expect(type_name);
        let (written, requests) = inserted(with_a_table(type_info), frame);
        assert_eq!(written.expect(type_name), 3);
        let [begin, load, commit] = &requests[..] else {
            panic!("{type_name}: {} requests", requests.len());
        };
        assert!(begin.has("INSERT BULK [s].[t] ([v] "), "{type_name}");
        for option in ["KEEP_NULLS", "CHECK_CONSTRAINTS", "FIRE_TRIGGERS"] {
            assert!(begin.has(option), "{type_name}");
        }
        assert!(commit.has("COMMIT TRANSACTION"), "{type_name}");
        let sent = [b"\xd1", value, b"\xd1", null, b"\xd1", null, b"\xfd"].concat();
        assert_eq!(load.kind, BULK_LOAD);
        assert!(
            load.body.windows(sent.len()).any(|place| place == sent),
            "{type_name}: {:02x?}",
            load.body
        );
        count += 1;
    }
    assert_eq!(count, 23);
}

/// Long values are sent in chunks, and points in time in UTC. python-tds 1.17.1, an independent
/// client, writes the same bytes, also for `TYPES`.
#[test]
fn long_values_go_in_chunks_and_points_in_time_in_utc() {
    let long = b"\xfe\xff\xff\xff\xff\xff\xff\xff";
    let column = |series: Series| DataFrame::new(1, vec![series.into()]).expect("a frame");
    let zoned = Series::new("v".into(), [1_709_210_096_789_012_i64]);
    let zoned = zoned.i64().expect("integers").clone();
    let zoned = zoned.into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let zoned = zoned.into_series();
    for (type_info, series, value) in [
        (
            &b"\xe7\xff\xff\x09\x04\xd0\x00\x34"[..],
            Series::new("v".into(), ["ab"]),
            [long, &b"\x04\0\0\0a\0b\0\0\0\0\0"[..]].concat(),
        ),
        (
            b"\xe7\xff\xff\x09\x04\xd0\x00\x34",
            Series::new("v".into(), [""]),
            [long, &b"\0\0\0\0"[..]].concat(),
        ),
        (
            b"\xa5\xff\xff",
            Series::new("v".into(), [&b"\x07\x08"[..]]),
            [long, &b"\x02\0\0\0\x07\x08\0\0\0\0"[..]].concat(),
        ),
        (
            b"\x2b\x07",
            zoned,
            b"\x0a\xc8\x7c\xfd\x76\x69\x80\x46\x0b\0\0".to_vec(),
        ),
    ] {
        let (written, requests) = inserted(with_a_table(type_info), column(series));
        assert_eq!(written.expect("written"), 1);
        let sent = [&b"\xd1"[..], &value, b"\xfd"].concat();
        let body = &requests[1].body;
        assert!(
            body.windows(sent.len()).any(|place| place == sent),
            "{body:02x?}"
        );
    }
}

#[test]
fn what_does_not_fit_is_cancelled_and_taken_back() {
    let text = |text: &str| Series::new("v".into(), ["a", text]);
    let number = |number: f64| Series::new("v".into(), [0.0, number]);
    let date = |days: i32| {
        let series = Series::new("v".into(), [0, days]);
        series.cast(&DataType::Date).expect("days")
    };
    for (type_info, series, part) in [
        (
            &b"\x26\x01"[..],
            Series::new("v".into(), [0_i64, 256]),
            "256 is not among the integers",
        ),
        (b"\x26\x08", number(0.5), "0.5 is not among the integers"),
        (b"\x6d\x08", number(f64::NAN), "NaN is no number"),
        (b"\x6a\x09\x0a\x02", number(0.005), "0.005 has more digits"),
        (
            b"\x6a\x09\x0a\x02",
            number(1e9),
            "1000000000.0 has more digits",
        ),
        (b"\x28", date(-719_163), "is no date"),
        (b"\x28", date(2_932_897), "is no date"),
        (
            b"\xe7\x04\x00\x09\x04\xd0\x00\x34",
            text("abc"),
            "is longer",
        ),
        (b"\xe7\x02\x00\x09\x04\xd0\x00\x34", text("😀"), "is longer"),
        (b"\xa7\x0a\x00\x19\x04\xd0\x00\x00", text("ä"), "code page"),
        (b"\x24\x10", text("abc"), "is no UUID"),
    ] {
        let first = if type_info[0] == 0x24 {
            "6F9619FF-8B86-D011-B42D-00C04FC964FF"
        } else {
            "a"
        };
        let series = match series.str() {
            Ok(texts) => Series::new("v".into(), [first, texts.get(1).expect("two texts")]),
            Err(_) => series,
        };
        let frame = DataFrame::new(2, vec![series.into()]).expect("a frame");
        let (written, requests) = inserted(with_a_table(type_info), frame);
        let error = written.expect_err(part);
        assert!(matches!(error, Error::Conversion(_)), "{error}");
        let message = error.to_string();
        for part in ["column \"v\"", "row 2", part] {
            assert!(message.contains(part), "{message}");
        }
        let kinds: Vec<u8> = requests.iter().map(|request| request.kind).collect();
        assert_eq!(kinds, [1, tds::ATTENTION, 1], "{message}");
        assert!(requests[2].has("ROLLBACK TRANSACTION"), "{message}");
    }
}

#[test]
fn what_the_server_refuses_is_taken_back() {
    let series = Series::new("v".into(), [1_i32]);
    let frame = || DataFrame::new(1, vec![series.clone().into()]).expect("a frame");
    let unique =
        "Violation of PRIMARY KEY constraint 'PK_t'. Cannot insert duplicate key in object 's.t'.";
    let script = with_a_table(b"\x26\x04");
    let script = Script {
        answers: [script.answers, vec![("", error(2627, unique))]].concat(),
        ..script
    };
    // The rows of the load contain no text that selects another answer, so they get the last one,
    // the error.
    let last = script.answers.len() - 1;
    let mut answers = script.answers.clone();
    answers.remove(last - 1);
    answers.insert(0, ("TRANSACTION", DONE.to_vec()));
    answers.insert(0, ("INSERT BULK", DONE.to_vec()));
    let (written, requests) = inserted(Script { answers, ..script }, frame());
    match written.expect_err("a duplicate") {
        Error::Constraint {
            constraint, table, ..
        } => {
            assert_eq!(constraint.as_deref(), Some("PK_t"));
            assert_eq!(table.as_deref(), Some("s.t"));
        }
        other => panic!("{other}"),
    }
    assert!(
        requests
            .last()
            .expect("requests")
            .has("ROLLBACK TRANSACTION")
    );
    // In the caller's own transaction, the insert sets a savepoint and commits nothing.
    let depth = [
        columns(&[("depth", b"\x26\x04")]),
        vec![0xd1, 4, 1, 0, 0, 0],
        done(1),
    ]
    .concat();
    let script = with_a_table(b"\x26\x04").with("AS depth", depth);
    let (connector, received) = script.serve();
    let stop = Stop::default();
    let mut connection = connector.connect(&stop).expect("connected");
    let rows = Frame::new(frame()).expect("a frame");
    assert_eq!(
        connection
            .insert("s.t", &rows, OnConflict::Error, &stop)
            .expect("written"),
        1
    );
    let received = received.lock().expect("no panic");
    assert!(received.iter().any(|r| r.has("SAVE TRANSACTION")));
    assert!(!received.iter().any(|r| r.has("COMMIT")));
    let error = connection.insert("s.t", &rows, OnConflict::Ignore, &stop);
    assert!(matches!(error, Err(Error::Configuration(_))));
}
