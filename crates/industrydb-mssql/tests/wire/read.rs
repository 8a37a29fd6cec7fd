//! Tests of reads: descriptions, complete and truncated answers, and what ends a read.

use industrydb_core::{
    Chunk, DatabaseConnector, Error, Meter, Output, Parameters, Partition, Stop, Value,
};

use crate::script::{QUERY, Script, answered, error, read, request, rows};
use crate::table::INT;
use crate::tds::{self, columns, done, short};

#[test]
fn large_values_make_batches_of_fewer_rows() {
    const MIB: u32 = 1 << 20;
    let row = [
        &[0xd1][..],
        &u64::from(MIB).to_le_bytes(),
        &MIB.to_le_bytes(),
        &vec![7; MIB as usize],
        &[0; 4],
    ]
    .concat();
    let answer = [columns(&[("v", b"\xa5\xff\xff")]), row.repeat(70), done(70)].concat();
    let (connector, _) = Script::new("varbinary(max)", answer).serve();
    let request = request(QUERY, Parameters::default());
    let stop = Stop::default();
    let query = connector.describe(&request, &stop).expect("it is scripted");
    let mut heights = Vec::new();
    let mut take = |chunk: Chunk| {
        heights.push(chunk.height);
        Ok(())
    };
    let meter = Meter::default();
    let mut output = Output::batches(1000, &meter, &mut take);
    query
        .reader
        .read_into(&Partition::whole(0, QUERY), &mut output, &stop)
        .expect("70 MiB");
    assert_eq!(heights, [64, 6]);
}

#[test]
fn an_answer_that_is_cut_off_is_an_error() {
    let answer = rows(b"\x26\x04", b"\x04\x07\x00\x00\x00", b"\x00");
    for end in 0..answer.len() {
        let script = Script {
            hangs_up: true,
            ..Script::new("int", answer[..end].to_vec())
        };
        let error = read(script, &Stop::default()).err().expect("cut off");
        let connected = !error.to_string().contains("cannot connect");
        assert!(
            matches!(error, Error::Connection { .. }) && connected,
            "after {end} bytes: {error}"
        );
    }
}

#[test]
fn an_error_behind_rows_is_the_servers() {
    let answer = [
        columns(&[("v", b"\x26\x04")]),
        b"\xd1\x04\x07\0\0\0".to_vec(),
        error(8134, "Divide by zero"),
    ];
    let error = answered("int", answer.concat()).err().expect("an error");
    assert_eq!(error.code(), Some("8134"));
    let message = error.to_string();
    for part in [
        "Divide by zero",
        "class 16",
        "state 1",
        "line 7",
        "server srv",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn rows_that_the_server_did_not_count_are_an_error() {
    let answer = [
        columns(&[("v", b"\x26\x04")]),
        b"\xd1\x04\x07\0\0\0".to_vec(),
        done(2),
    ];
    let error = answered("int", answer.concat())
        .err()
        .expect("a row is missing");
    assert!(error.to_string().contains("counted"), "{error}");
}

#[test]
fn pieces_of_a_document_are_fewer_than_its_rows() {
    let name = "XML_F52E2B61-18A1-11d1-B105-00805F49916B";
    let answer = [
        columns(&[(name, tds::NVARCHAR)]),
        vec![0xd1],
        tds::nvarchar("<a/>"),
        done(1000),
    ];
    let chunk = answered("nvarchar(max)", answer.concat()).expect("one piece");
    assert_eq!(chunk.height, 1);
}

#[test]
fn a_query_that_cannot_be_described_is_asked_for_its_form() {
    let no_name = "No column name was specified for column 1 of 'q'.";
    let read = [
        columns(&[("", b"\x26\x04")]),
        b"\xd1\x04\x07\0\0\0".to_vec(),
        done(1),
    ];
    let script = Script::new("int", read.concat())
        .with(
            "sp_describe",
            error(11526, "The metadata could not be determined"),
        )
        .with("TOP (0)", error(8155, no_name))
        .with(
            "FMTONLY ON",
            [
                b"\xfd\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
                columns(&[("", b"\x26\x04")]),
                done(0),
            ]
            .concat(),
        );
    let (connector, received) = script.serve();
    let stop = Stop::default();
    let described = connector
        .describe(&request(QUERY, Parameters::default()), &stop)
        .expect("described");
    assert_eq!(described.fields[0].name, "column_0");
    assert_eq!(described.fields[0].database_type, "int");
    assert_eq!(
        described
            .read(&Partition::whole(0, QUERY), &stop)
            .expect("read")
            .height,
        1
    );
    assert!(
        received
            .lock()
            .expect("no panic")
            .iter()
            .any(|r| r.has("FMTONLY OFF"))
    );
}

#[test]
fn a_second_result_is_refused() {
    let result = [
        columns(&[("v", b"\x26\x04")]),
        b"\xd1\x04\x07\0\0\0".to_vec(),
    ]
    .concat();
    let more = b"\xfd\x11\x00\xc1\x00\x01\0\0\0\0\0\0\0".to_vec();
    let answer = [result.clone(), more, result, done(1)].concat();
    let error = answered("int", answer).err().expect("two results");
    assert!(error.to_string().contains("several results"), "{error}");
}

#[test]
fn what_is_stopped_is_cancelled_on_the_server() {
    let stop = Stop::default();
    let script = Script {
        stops: Some(stop.clone()),
        ..Script::new("int", columns(&[("v", b"\x26\x04")]))
    };
    let (connector, received) = script.serve();
    let error = connector
        .describe(&request(QUERY, Parameters::default()), &stop)
        .expect("described")
        .read(&Partition::whole(0, QUERY), &stop)
        .err()
        .expect("stopped");
    assert!(matches!(error, Error::Interrupted), "{error}");
    let received = received.lock().expect("no panic");
    let last = received.last().expect("the query was sent");
    assert_eq!(last.kind, tds::ATTENTION);
}

#[test]
fn a_login_without_a_packet_size_is_an_error() {
    let script = Script {
        logs_in: false,
        ..Script::new("int", Vec::new())
    };
    let error = read(script, &Stop::default()).err().expect("no login");
    assert!(error.to_string().contains("packets of 0 bytes"), "{error}");
}

/// A read fails, before it returns a batch, if the columns of its rows are not the described ones.
#[test]
fn rows_of_columns_that_were_altered_since_are_refused() {
    const TINY: &[u8] = b"\x26\x01";
    const FLOAT: &[u8] = b"\x6d\x08";
    let described = tds::described(&[("a", "int"), ("b", "int")]);
    let (int, tiny, float) = (b"\x04\x07\0\0\0", b"\x01\x07", b"\x08\0\0\0\0\0\0\0\0");
    for (sent, cells) in [
        (&[("b", INT), ("a", INT)][..], [&int[..], &int[..]].concat()),
        (&[("a", INT), ("B", INT)], [&int[..], &int[..]].concat()),
        (&[("a", INT), ("", INT)], [&int[..], &int[..]].concat()),
        (&[("a", INT), ("b", TINY)], [&int[..], &tiny[..]].concat()),
        (&[("a", FLOAT), ("b", INT)], [&float[..], &int[..]].concat()),
        (&[("a", INT)], int.to_vec()),
        (
            &[("a", INT), ("b", INT), ("c", INT)],
            [&int[..], &int[..], &int[..]].concat(),
        ),
    ] {
        let answer = [columns(sent), vec![0xd1], cells, done(1)].concat();
        for parameters in [
            Parameters::default(),
            Parameters::Positional(vec![Value::Integer(1)]),
        ] {
            let script = Script::new("int", answer.clone()).with("sp_describe", described.clone());
            let (connector, _) = script.serve();
            let stop = Stop::default();
            let query = connector
                .describe(&request(QUERY, parameters), &stop)
                .expect("described");
            let whole = query
                .read(&Partition::whole(0, QUERY), &stop)
                .err()
                .expect("altered");
            let meter = Meter::default();
            let mut batches = 0;
            let mut take = |_| {
                batches += 1;
                Ok(())
            };
            let mut output = Output::batches(1, &meter, &mut take);
            let batch = query.reader.read_into(
                &Partition::whole(0, "SELECT * FROM (q) AS q"),
                &mut output,
                &stop,
            );
            for error in [whole, batch.expect_err("altered")] {
                let message = error.to_string();
                assert!(
                    matches!(error, Error::Query { code: None, .. }),
                    "{message}"
                );
                let shown = "they were \"a\" (int), \"b\" (int), and are \"";
                assert!(message.contains(shown), "{message}");
            }
            assert_eq!(batches, 0);
        }
    }
}

/// Parameters are sent as typed arguments of `sp_executesql`, as specified in [MS-TDS] 2.2.6.6.
#[test]
fn parameters_travel_beside_the_query() {
    const REMOTE_CALL: u8 = 3;
    let (connector, received) =
        Script::new("int", rows(b"\x26\x04", b"\x04\x07\x00\x00\x00", b"\x00")).serve();
    let values = Parameters::Named(vec![
        ("id".to_owned(), Value::Integer(7)),
        (
            "name".to_owned(),
            Value::Text("x'; DROP TABLE t --".to_owned()),
        ),
        ("none".to_owned(), Value::Null),
        ("day".to_owned(), Value::Temporal("2024-02-29".to_owned())),
        (
            "at".to_owned(),
            Value::Temporal("2024-02-29 12:34:56.789012".to_owned()),
        ),
        (
            "there".to_owned(),
            Value::Temporal("2024-02-29 18:19:56.789012+05:45".to_owned()),
        ),
    ]);
    let stop = Stop::default();
    let query = "SELECT v FROM t WHERE a = @id AND b = @name AND c = @none";
    let described = connector
        .describe(&request(query, values), &stop)
        .expect("described");
    described
        .read(&Partition::whole(0, query), &stop)
        .expect("read");
    let received = received.lock().expect("no panic");
    let described = received
        .iter()
        .find(|r| r.has("sp_describe"))
        .expect("asked");
    assert!(described.has(
        "N'@id bigint, @name nvarchar(max), @none nvarchar(max), @day date, @at datetime2(7), "
    ));
    let call = received
        .iter()
        .find(|r| r.kind == REMOTE_CALL)
        .expect("called");
    assert!(call.has(query) && call.has("@id bigint"));
    assert!(
        !received
            .iter()
            .any(|r| r.kind != REMOTE_CALL && r.has("DROP"))
    );
    // Name, type with size, and value of each parameter.
    let seven = 7_i64.to_le_bytes();
    for (name, type_info, value) in [
        ("@id", &b"\x26\x08\x08"[..], &seven[..]),
        ("@day", b"\x28\x03", b"\x80\x46\x0b"),
        ("@at", b"\x2a\x07\x08", b"\xc8\x7c\xfd\x76\x69\x80\x46\x0b"),
        (
            "@there",
            b"\x2b\x07\x0a",
            b"\xc8\x7c\xfd\x76\x69\x80\x46\x0b\x59\x01",
        ),
    ] {
        let sent = [&short(name)[..], &[0], type_info, value].concat();
        assert!(
            call.body.windows(sent.len()).any(|part| part == sent),
            "{name}"
        );
    }
    assert!(call.has("x'; DROP TABLE t --"));
}
