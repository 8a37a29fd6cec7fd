//! What SQL Server sends, byte by byte: a scripted server that answers with the tokens of MS-TDS.
//!
//! python-tds 1.17.1, an independent client, reads the same values from the bytes of `TYPES`, but for json, vector and
//! UTF-8, which it does not know.

mod tds;

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use industrydb_core::planner::plan;
use industrydb_core::stack::stack;
use industrydb_core::{
    Answer, Chunk, ColumnType, Database, DatabaseConfig, DatabaseConnector, Error, Frame, Meter,
    OnConflict, Output, Parameters, Partition, Plan, Request, Result, Split, Stop, Value,
};
use industrydb_mssql::MssqlConnector;
use polars_arrow::array::BinaryViewArray;
use polars_core::prelude::{
    DataFrame, DataType, IntoSeries, NamedFrom, Series, TimeUnit, TimeZone,
};

use tds::{columns, done, short, text};

/// What a server does.
#[derive(Clone)]
struct Script {
    /// The answers to requests that have a text in them; the first one counts.
    answers: Vec<(&'static str, Vec<u8>)>,
    /// The answers to the first requests that have a text in them, in place of those: each is given once.
    first: Vec<(&'static str, Vec<u8>)>,
    /// Answers are cut into packets of so many bytes.
    packet_bytes: usize,
    /// Whether each byte is sent by itself.
    trickles: bool,
    /// Whether it closes the connection behind the answer to the query.
    hangs_up: bool,
    /// What is set once the query has been answered.
    stops: Option<Stop>,
    /// Whether the answer to the login has all that the driver counts on.
    logs_in: bool,
}

const PACKET_BYTES: usize = 4000;

/// The type of the packets that bring rows.
const BULK_LOAD: u8 = 7;
const DONE: &[u8] = b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0";
const QUERY: &str = "SELECT v FROM t";

impl Script {
    /// Gives the query's one column a type, and the query an answer.
    fn new(type_name: &str, answer: Vec<u8>) -> Self {
        let answers = vec![
            ("TEXTSIZE", DONE.to_vec()),
            ("sp_describe", tds::described(&[("v", type_name)])),
            ("", answer),
        ];
        Self {
            answers,
            first: Vec::new(),
            packet_bytes: PACKET_BYTES,
            trickles: false,
            hangs_up: false,
            stops: None,
            logs_in: true,
        }
    }

    /// Also answers requests that have a text in them.
    fn with(mut self, text: &'static str, answer: Vec<u8>) -> Self {
        self.answers.insert(0, (text, answer));
        self
    }

    /// Follows the script for one client.
    fn follow(
        &self,
        stream: &mut TcpStream,
        received: &Mutex<Vec<tds::Request>>,
    ) -> io::Result<()> {
        tds::receive(stream)?;
        tds::send(stream, tds::PRELOGIN, PACKET_BYTES)?;
        tds::receive(stream)?;
        let [size, rest] = tds::logged_in(PACKET_BYTES + tds::HEADER_BYTES);
        let told = if self.logs_in {
            [size, rest].concat()
        } else {
            rest
        };
        tds::send(stream, &told, PACKET_BYTES)?;
        let mut first: Vec<_> = self.first.iter().collect();
        loop {
            let request = tds::receive(stream)?;
            let once = first.iter().position(|(text, _)| request.has(text));
            let scripted = match once {
                Some(place) => Some(first.remove(place)),
                None => self.answers.iter().find(|(text, _)| request.has(text)),
            };
            let is_attention = request.kind == tds::ATTENTION;
            received.lock().expect("no panic").push(request);
            let Some((text, answer)) = scripted.filter(|_| !is_attention) else {
                tds::send(stream, tds::CANCELLED, PACKET_BYTES)?;
                continue;
            };
            let packets = tds::packets(answer, self.packet_bytes);
            for part in packets.chunks(if self.trickles {
                1
            } else {
                packets.len().max(1)
            }) {
                stream.write_all(part)?;
            }
            if text.is_empty() {
                if let Some(stop) = &self.stops {
                    stop.set();
                }
                if self.hangs_up {
                    return Ok(());
                }
            }
        }
    }

    /// Serves; returns the connector to it, and what it receives.
    fn serve(self) -> (MssqlConnector, Arc<Mutex<Vec<tds::Request>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                stream.set_nodelay(true).expect("it is a socket's option");
                let _ = self.follow(&mut stream, &log);
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        let uri = format!("mssql://sa:x@127.0.0.1:{port}/db?encrypt=false");
        let config = DatabaseConfig::from_uri(&uri, &[MssqlConnector::SCHEME]).expect("valid");
        (MssqlConnector::new(&config).expect("valid"), received)
    }
}

/// ERROR and the DONE that belongs to it.
fn error(number: u32, message: &str) -> Vec<u8> {
    let characters = u16::try_from(message.encode_utf16().count()).expect("short");
    let body = [
        number.to_le_bytes().to_vec(),
        vec![1, 16],
        characters.to_le_bytes().to_vec(),
        text(message),
        short("srv"),
        short(""),
        7_u32.to_le_bytes().to_vec(),
    ]
    .concat();
    let failed = b"\xfd\x02\x00\x00\x00\0\0\0\0\0\0\0\0";
    [tds::token(0xaa, &body), failed.to_vec()].concat()
}

fn request(query: &str, parameters: Parameters) -> Request {
    Request {
        queries: vec![query.to_owned()],
        parameters,
        setup: Vec::new(),
        snapshot: true,
        overrides: Vec::new(),
        settled: Vec::new(),
        narrowing: None,
    }
}

/// Reads the query from a server that follows the script.
fn read(script: Script, stop: &Stop) -> Result<Chunk> {
    let (connector, _) = script.serve();
    let request = request(QUERY, Parameters::default());
    connector
        .describe(&request, stop)?
        .read(&Partition::whole(0, QUERY), stop)
}

fn answered(type_name: &'static str, answer: Vec<u8>) -> Result<Chunk> {
    read(Script::new(type_name, answer), &Stop::default())
}

/// A type's name, its `TYPE_INFO`, the bytes of a value and of a NULL, and what they become.
type Row = (
    &'static str,
    &'static [u8],
    &'static [u8],
    &'static [u8],
    &'static str,
);

/// Each type; what a value and a NULL become is shown as the memory of their column prints.
const TYPES: [Row; 35] = [
    (
        "bit",
        b"\x68\x01",
        b"\x01\x01",
        b"\x00",
        "BooleanArray[true, None]",
    ),
    (
        "tinyint",
        b"\x26\x01",
        b"\x01\xff",
        b"\x00",
        "UInt8[255, None]",
    ),
    (
        "smallint",
        b"\x26\x02",
        b"\x02\x00\x80",
        b"\x00",
        "Int16[-32768, None]",
    ),
    (
        "int",
        b"\x26\x04",
        b"\x04\xff\xff\xff\xff",
        b"\x00",
        "Int32[-1, None]",
    ),
    (
        "bigint",
        b"\x26\x08",
        b"\x08\x00\x00\x00\x00\x00\x00\x00\x80",
        b"\x00",
        "Int64[-9223372036854775808, None]",
    ),
    (
        "real",
        b"\x6d\x04",
        b"\x04\x00\x00\x00\x3f",
        b"\x00",
        "Float32[0.5, None]",
    ),
    (
        "float",
        b"\x6d\x08",
        b"\x08\x00\x00\x00\x00\x00\x00\xe0\xbf",
        b"\x00",
        "Float64[-0.5, None]",
    ),
    (
        "decimal(10,2)",
        b"\x6a\x09\x0a\x02",
        b"\x09\x00\x39\x30\x00\x00\x00\x00\x00\x00",
        b"\x00",
        "Int128[-12345, None]",
    ),
    (
        "money",
        b"\x6e\x08",
        b"\x08\xff\xff\xff\xff\xfe\xff\xff\xff",
        b"\x00",
        "Int128[-2, None]",
    ),
    (
        "smallmoney",
        b"\x6e\x04",
        b"\x04\x10\x27\x00\x00",
        b"\x00",
        "Int128[10000, None]",
    ),
    // 2024-02-29 is day 738,944 (0x0b4680); 12:34:56.7890123 are 452,967,890,123 (0x6976fd7ccb) ticks.
    (
        "date",
        b"\x28",
        b"\x03\x80\x46\x0b",
        b"\x00",
        "Int32[19782, None]",
    ),
    (
        "time(7)",
        b"\x29\x07",
        b"\x05\xcb\x7c\xfd\x76\x69",
        b"\x00",
        "Int64[45296789012300, None]",
    ),
    (
        "datetime2(7)",
        b"\x2a\x07",
        b"\x08\xcb\x7c\xfd\x76\x69\x80\x46\x0b",
        b"\x00",
        "Int64[17092100967890123, None]",
    ),
    // 45,296,789 milliseconds are 0x2b32c95.
    (
        "datetime2(3)",
        b"\x2a\x03",
        b"\x07\x95\x2c\xb3\x02\x80\x46\x0b",
        b"\x00",
        "Int64[1709210096789000, None]",
    ),
    (
        "datetimeoffset(7)",
        b"\x2b\x07",
        b"\x0a\xcb\x7c\xfd\x76\x69\x80\x46\x0b\x59\x01",
        b"\x00",
        "Int64[17092100967890123, None]",
    ),
    // Day 45,349 (0xb125) after 1900-01-01, 13,589,037 (0xcf5a2d) three hundredths of a second.
    (
        "datetime",
        b"\x6f\x08",
        b"\x08\x25\xb1\x00\x00\x2d\x5a\xcf\x00",
        b"\x00",
        "Int64[1709210096790000, None]",
    ),
    (
        "smalldatetime",
        b"\x6f\x04",
        b"\x04\x25\xb1\xf3\x02",
        b"\x00",
        "Int64[1709210100000000, None]",
    ),
    (
        "nvarchar(10)",
        b"\xe7\x14\x00\x09\x04\xd0\x00\x34",
        b"\x06\x00\x61\x00\x3d\xd8\x00\xde",
        b"\xff\xff",
        "Utf8ViewArray[a😀, None]",
    ),
    (
        "varchar(10)",
        b"\xa7\x0a\x00\x09\x04\xd0\x00\x34",
        b"\x02\x00\x61\xe4",
        b"\xff\xff",
        "Utf8ViewArray[aä, None]",
    ),
    // Cyrillic_General_CI_AS, code page 1251.
    (
        "varchar(10)",
        b"\xa7\x0a\x00\x19\x04\xd0\x00\x00",
        b"\x01\x00\xc6",
        b"\xff\xff",
        "Utf8ViewArray[Ж, None]",
    ),
    (
        "nvarchar(max)",
        b"\xe7\xff\xff\x09\x04\xd0\x00\x34",
        b"\x04\0\0\0\0\0\0\0\x01\0\0\0\x61\x03\0\0\0\x00\x62\x00\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "Utf8ViewArray[ab, None]",
    ),
    (
        "varbinary(8)",
        b"\xa5\x08\x00",
        b"\x02\x00\x00\xff",
        b"\xff\xff",
        "BinaryViewArray[[0, 255], None]",
    ),
    // Of a length that is not announced.
    (
        "varbinary(max)",
        b"\xa5\xff\xff",
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\x07\x01\0\0\0\x08\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "BinaryViewArray[[7, 8], None]",
    ),
    (
        "uniqueidentifier",
        b"\x24\x10",
        b"\x10\xff\x19\x96\x6f\x86\x8b\x11\xd0\xb4\x2d\x00\xc0\x4f\xc9\x64\xff",
        b"\x00",
        "Utf8ViewArray[6F9619FF-8B86-D011-B42D-00C04FC964FF, None]",
    ),
    (
        "xml",
        b"\xf1\x00",
        b"\x08\0\0\0\0\0\0\0\x08\0\0\0\x3c\x00\x61\x00\x2f\x00\x3e\x00\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "Utf8ViewArray[<a/>, None]",
    ),
    // A datetimeoffset of 18:19:56.7890123 at +05:45.
    (
        "sql_variant",
        b"\x62\x49\x1f\x00\x00",
        b"\x0d\0\0\0\x2b\x01\x07\xcb\x7c\xfd\x76\x69\x80\x46\x0b\x59\x01",
        b"\0\0\0\0",
        "Utf8ViewArray[2024-02-29 18:19:56.789012300 +05:45, None]",
    ),
    // The table's name belongs to the type; a pointer and a time stamp stand in front of the value.
    (
        "text",
        b"\x23\xff\xff\xff\x7f\x09\x04\xd0\x00\x34\x01\x01\x00\x74\x00",
        b"\x10pppppppppppppppptttttttt\x02\0\0\0\x61\xe4",
        b"\x00",
        "Utf8ViewArray[aä, None]",
    ),
    (
        "ntext",
        b"\x63\xff\xff\xff\x7f\x09\x04\xd0\x00\x34\x01\x01\x00\x74\x00",
        b"\x10pppppppppppppppptttttttt\x02\0\0\0\x16\x04",
        b"\x00",
        "Utf8ViewArray[Ж, None]",
    ),
    (
        "image",
        b"\x22\xff\xff\xff\x7f\x01\x01\x00\x74\x00",
        b"\x10pppppppppppppppptttttttt\x02\0\0\0\x07\x08",
        b"\x00",
        "BinaryViewArray[[7, 8], None]",
    ),
    // sys.hierarchyid: /1/ is 0x58.
    (
        "hierarchyid",
        b"\xf0\x7c\x03\x00\x03\x73\x00\x79\x00\x73\x00\x01\x68\x00\x01\x00\x61\x00",
        b"\x01\0\0\0\0\0\0\0\x01\0\0\0\x58\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "BinaryViewArray[[88], None]",
    ),
    (
        "json",
        b"\xf4",
        b"\x02\0\0\0\0\0\0\0\x02\0\0\0{}\0\0\0\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        "Utf8ViewArray[{}, None]",
    ),
    // Its layout, version, number of dimensions and type of elements; 0.5 and -2.
    (
        "vector(2)",
        b"\xf5\x10\x00\x00",
        b"\x10\x00\xa9\x01\x02\x00\x00\0\0\0\0\0\0\x3f\0\0\0\xc0",
        b"\xff\xff",
        "LargeListArray[[0.5, -2], None]",
    ),
    // UTF-8, as the collation Latin1_General_100_CI_AS_SC_UTF8 says.
    (
        "varchar(10)",
        b"\xa7\x0a\x00\x09\x04\xd0\x04\x00",
        b"\x03\x00\xe2\x82\xac",
        b"\xff\xff",
        "Utf8ViewArray[€, None]",
    ),
    (
        "sql_variant",
        b"\x62\x49\x1f\x00\x00",
        b"\x06\0\0\0\x38\x00\x07\x00\x00\x00",
        b"\0\0\0\0",
        "Utf8ViewArray[7, None]",
    ),
    (
        "sql_variant",
        b"\x62\x49\x1f\x00\x00",
        b"\x04\0\0\0\xa5\x02\x08\x00",
        b"\0\0\0\0",
        "Utf8ViewArray[0x, None]",
    ),
];

/// A ROW with a value, and a NULL as ROW and as NBCROW have it.
fn rows(type_info: &[u8], value: &[u8], null: &[u8]) -> Vec<u8> {
    let value = [b"\xd1", value].concat();
    let null = [b"\xd1", null].concat();
    [
        columns(&[("v", type_info)]),
        value,
        null,
        b"\xd2\x01".to_vec(),
        done(3),
    ]
    .concat()
}

#[test]
fn values_are_what_their_bytes_say_in_packets_of_any_size() {
    for (type_name, type_info, value, null, expected) in TYPES {
        for packet_bytes in [1, 2, 3, 7, PACKET_BYTES] {
            let script = Script {
                packet_bytes,
                trickles: packet_bytes == 7,
                ..Script::new(type_name, rows(type_info, value, null))
            };
            let chunk = read(script, &Stop::default()).expect(type_name);
            assert_eq!(chunk.height, 3);
            let shown = format!("{:?}", chunk.columns[0].array);
            let expected = expected.replace(", None]", ", None, None]");
            assert_eq!(shown, expected, "{type_name} in packets of {packet_bytes}");
        }
    }
}

#[test]
fn large_values_arrive_in_their_chunks() {
    const CHUNKS: u8 = 250;
    let chunk = |number: u8| [&80_000_u32.to_le_bytes()[..], &vec![number; 80_000]].concat();
    let value: Vec<u8> = (0..CHUNKS).flat_map(chunk).collect();
    let length_is_not_told = b"\xfe\xff\xff\xff\xff\xff\xff\xff".to_vec();
    let answer = [
        columns(&[("v", b"\xa5\xff\xff")]),
        vec![0xd1],
        length_is_not_told,
        value,
        vec![0; 4],
        done(1),
    ];
    let chunk = answered("varbinary(max)", answer.concat()).expect("20 MB");
    let array = chunk.columns[0]
        .array
        .as_any()
        .downcast_ref::<BinaryViewArray>();
    let expected: Vec<u8> = (0..CHUNKS)
        .flat_map(|number| vec![number; 80_000])
        .collect();
    assert!(array.expect("bytes").value(0) == expected);
}

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
fn dates_and_times_that_there_are_not_are_errors() {
    for (type_name, type_info, value) in [
        ("date", &b"\x28"[..], &b"\x03\xff\xff\xff"[..]),
        ("time(7)", b"\x29\x07", b"\x05\xff\xff\xff\xff\xff"),
        ("datetime2(7)", b"\x2a\x07", b"\x08\0\0\0\0\0\xff\xff\xff"),
        (
            "datetimeoffset(7)",
            b"\x2b\x07",
            b"\x0a\xff\xff\xff\xff\xff\0\0\0\0\0",
        ),
        ("datetime", b"\x6f\x08", b"\x08\xff\xff\xff\x7f\0\0\0\0"),
        ("datetime", b"\x6f\x08", b"\x08\0\0\0\0\xff\xff\xff\xff"),
        ("smalldatetime", b"\x6f\x04", b"\x04\0\0\xff\xff"),
    ] {
        let error = answered(type_name, rows(type_info, value, b"\0"))
            .err()
            .expect(type_name);
        assert!(
            matches!(error, Error::Conversion(_)),
            "{type_name}: {error}"
        );
    }
}

/// Reads a column of a type as the one that was settled for it, all of a result as one chunk.
fn read_settled(
    type_name: &'static str,
    type_info: &[u8],
    value: &[u8],
    known: ColumnType,
) -> Result<Chunk> {
    let (connector, _) = Script::new(type_name, rows(type_info, value, b"\0")).serve();
    let stop = Stop::default();
    let request = Request {
        settled: vec![("v".to_owned(), known)],
        ..request(QUERY, Parameters::default())
    };
    connector
        .describe(&request, &stop)?
        .read(&Partition::whole(0, QUERY), &stop)
}

#[test]
fn a_time_has_the_unit_that_was_settled_or_is_an_error() {
    // 2024-02-29 12:34:56.7890123, and the same to the microsecond.
    let fine = b"\x08\xcb\x7c\xfd\x76\x69\x80\x46\x0b";
    let coarse = b"\x08\xc8\x7c\xfd\x76\x69\x80\x46\x0b";
    let datetime = |unit| ColumnType::Datetime { unit, utc: false };
    let read = |value: &[u8], unit| {
        read_settled("datetime2(7)", b"\x2a\x07", value, datetime(unit))
            .map(|chunk| chunk.columns[0].column_type.clone())
    };
    for (value, unit) in [
        (fine, TimeUnit::Nanoseconds),
        (coarse, TimeUnit::Nanoseconds),
        (coarse, TimeUnit::Microseconds),
    ] {
        assert_eq!(read(value, unit).expect("fits"), datetime(unit));
    }
    let error = read(fine, TimeUnit::Microseconds).expect_err("is finer");
    assert!(matches!(error, Error::Conversion(_)), "{error}");
}

#[test]
fn a_column_of_another_type_than_the_settled_one_keeps_its_own() {
    let (type_info, value) = (b"\x6d\x08", b"\x08\x9a\x99\x99\x99\x99\x99\xb9\x3f");
    let chunk = read_settled("float", type_info, value, ColumnType::Float32).expect("as it is");
    assert_eq!(chunk.columns[0].column_type, ColumnType::Float64);
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
fn what_was_announced_otherwise_is_an_error() {
    let answer = rows(
        b"\x6d\x08",
        b"\x08\x00\x00\x00\x00\x00\x00\xe0\x3f",
        b"\x00",
    );
    let error = answered("int", answer).err().expect("a float");
    assert!(matches!(error, Error::Query { .. }), "{error}");
    for garbage in [vec![0x01], vec![0xff; 40], vec![0x81, 0xff, 0xfe, 0, 0]] {
        let script = Script {
            hangs_up: true,
            ..Script::new("int", garbage)
        };
        read(script, &Stop::default()).err().expect("garbage");
    }
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

#[test]
fn a_connection_tells_the_rows_and_what_they_break() {
    // DONE of an UPDATE (0xc5) with a number of rows, and more to come; of an INSERT (0xc3).
    let updated = b"\xfd\x11\x00\xc5\x00\x02\0\0\0\0\0\0\0".to_vec();
    let inserted = b"\xfd\x10\x00\xc3\x00\x03\0\0\0\0\0\0\0".to_vec();
    let unique =
        "Violation of UNIQUE KEY constraint 'UQ_a'. Cannot insert duplicate key in object 'dbo.t'.";
    let foreign = "The INSERT statement conflicted with the FOREIGN KEY constraint \"FK_a\". The conflict occurred in \
                   database \"d\", table \"dbo.p\", column 'id'.";
    let null = "Cannot insert the value NULL into column 'c', table 'd.dbo.t'; column does not allow nulls.";
    let script = Script::new("int", rows(b"\x26\x04", b"\x04\x07\0\0\0", b"\0"))
        .with("TWICE", [updated, inserted].concat())
        .with("UNIQUE", error(2627, unique))
        .with("FOREIGN", error(547, foreign))
        .with("NULL", error(515, null));
    let (connector, _) = script.serve();
    let stop = Stop::default();
    let mut connection = connector.connect(&stop).expect("connected");
    let mut run = |statement| connection.execute(statement, &Parameters::default(), &stop);
    assert!(matches!(run("TWICE"), Ok(Answer::Changed(5))));
    let Ok(Answer::Rows(fields, chunk)) = run("SELECT v") else {
        panic!("rows");
    };
    assert_eq!((fields[0].name.as_str(), chunk.height), ("v", 3));
    let text = |text: &str| Some(text.to_owned());
    for (statement, expected) in [
        ("UNIQUE", (text("UQ_a"), text("dbo.t"), None)),
        ("FOREIGN", (text("FK_a"), text("dbo.p"), text("id"))),
        ("NULL", (None, text("d.dbo.t"), text("c"))),
    ] {
        match run(statement).err() {
            Some(Error::Constraint {
                constraint,
                table,
                column,
                ..
            }) => assert_eq!((constraint, table, column), expected, "{statement}"),
            other => panic!("{statement}: {other:?}"),
        }
    }
}

/// DONE behind which more results come.
const MORE: &[u8] = b"\xfd\x11\x00\xc1\x00\x01\0\0\0\0\0\0\0";

/// A result of one number.
fn number(name: &str, value: u8) -> Vec<u8> {
    [
        columns(&[(name, b"\x26\x04")]),
        vec![0xd1, 4, value, 0, 0, 0],
    ]
    .concat()
}

/// What the server tells of a table's columns: names, `TYPE_INFO`s, and the first byte of their flags.
fn about(columns: &[(&str, &[u8], u8)]) -> Vec<u8> {
    let numbers: Vec<String> = (1..=columns.len())
        .map(|number| number.to_string())
        .collect();
    let rows: Vec<[&str; 4]> = numbers
        .iter()
        .zip(columns)
        .map(|(number, (name, ..))| [number, *name, "", "Cyrillic_General_CI_AS"])
        .collect();
    let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
    let collations = texts(&["colid", "name", "tds_collation", "collation"], &rows);
    let (form, more) = (tds::flagged_columns(columns), MORE.to_vec());
    [number("", 0), more.clone(), form, more, collations].concat()
}

/// A server with a table of some columns, which have rules of the server's own, that takes a bulk load.
fn with_columns(columns: &[(&str, &[u8], u8)], rules: &[[&str; 2]]) -> Script {
    let rules: Vec<&[&str]> = rules.iter().map(|rule| &rule[..]).collect();
    Script::new("int", DONE.to_vec())
        .with("AS depth", [number("depth", 0), done(1)].concat())
        .with("AS column_rule", texts(&["name", "column_rule"], &rules))
        .with("sp_tablecollations_100", about(columns))
}

/// A server with a table whose one column `v` has a type, and that takes a bulk load.
fn with_a_table(type_info: &[u8]) -> Script {
    with_columns(&[("v", type_info, tds::NULLABLE)], &[])
}

/// Inserts a frame; returns what came of it, and the requests behind the first look at the table. A second one is left out.
fn inserted(script: Script, frame: DataFrame) -> (Result<u64>, Vec<tds::Request>) {
    inserted_into("s.t", script, frame)
}

fn inserted_into(
    table: &str,
    script: Script,
    frame: DataFrame,
) -> (Result<u64>, Vec<tds::Request>) {
    let (connector, received) = script.serve();
    let stop = Stop::default();
    let mut connection = connector.connect(&stop).expect("connected");
    let frame = Frame::new(frame).expect("a frame");
    let written = connection.insert(table, &frame, OnConflict::Error, &stop);
    let mut received = std::mem::take(&mut *received.lock().expect("no panic"));
    let is_look = |request: &tds::Request| request.has("sp_tablecollations_100");
    let about = received.iter().position(is_look);
    let mut requests = received.split_off(about.expect("asked for the columns") + 1);
    requests.retain(|request| !is_look(request));
    assert!(received.iter().any(|r| r.has("BEGIN TRANSACTION")));
    (written, requests)
}

const INT: &[u8] = b"\x26\x04";

/// Integers as the columns of a frame.
fn integers(columns: &[(&str, &[Option<i32>])]) -> DataFrame {
    let height = columns.first().map_or(0, |(_, values)| values.len());
    let column =
        |(name, values): &(&str, &[Option<i32>])| Series::new((*name).into(), *values).into();
    DataFrame::new(height, columns.iter().map(column).collect()).expect("a frame")
}

/// A row of integers, as the wire has it.
fn row(values: &[Option<i32>]) -> Vec<u8> {
    let cell = |value: &Option<i32>| match value {
        Some(value) => [&[4][..], &value.to_le_bytes()].concat(),
        None => vec![0],
    };
    [vec![0xd1], values.iter().flat_map(cell).collect()].concat()
}

/// What a load announces and sends has one order, and it is the table's: nothing but the order tells which value is whose.
#[test]
fn values_go_to_the_columns_of_their_names_in_any_order() {
    let table = [
        ("a", INT, tds::NULLABLE),
        ("B]c", INT, tds::NULLABLE),
        ("d e", INT, tds::NULLABLE),
        ("id", INT, 0x10),
    ];
    let numbers = [
        [Some(11), Some(12)],
        [Some(22), None],
        [Some(33), Some(32)],
        [Some(44), Some(43)],
    ];
    let mut count = 0;
    for order in orders(table.len()) {
        let given = |place: &usize| (table[*place].0, &numbers[*place][..]);
        let frame = integers(&order.iter().map(given).collect::<Vec<_>>());
        let (written, requests) = inserted(with_columns(&table, &[]), frame);
        assert_eq!(written.expect("written"), 2, "{order:?}");
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let quoted = |place: &usize| ["[a] int", "[B]]c] int", "[d e] int", "[id] int"][*place];
        let announced = sorted.iter().map(quoted).collect::<Vec<_>>().join(", ");
        let announced = format!("INSERT BULK [s].[t] ({announced}) WITH");
        assert!(requests[0].has(&announced), "{order:?}");
        let values = |at: usize| sorted.iter().map(move |place| numbers[*place][at]);
        let columns = sorted.iter().map(|place| table[*place]);
        let columns: Vec<_> = columns
            .map(|(name, info, flags)| (name, info, flags | 8))
            .collect();
        let sent = [
            tds::flagged_columns(&columns),
            row(&values(0).collect::<Vec<_>>()),
            row(&values(1).collect::<Vec<_>>()),
        ]
        .concat();
        assert!(
            requests[1].body.starts_with(&sent),
            "{order:?}: {:02x?}",
            requests[1].body
        );
        count += 1;
    }
    assert_eq!(count, 64); // all orders of all sets of columns but the empty one
}

/// All orders of all numbers below a length, and of some of them.
fn orders(length: usize) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new()];
    let mut at = 0;
    while let Some(order) = found.get(at).cloned() {
        let free = (0..length).filter(|number| !order.contains(number));
        found.extend(free.map(|number| [&order[..], &[number]].concat()));
        at += 1;
    }
    found.split_off(1)
}

/// The server takes defaults for NULLs and for columns that are not given, or for none of both.
#[test]
fn columns_that_the_data_lack_get_their_defaults_and_nulls_stay() {
    let table = ["a", "b", "c"].map(|name| (name, INT, tds::NULLABLE));
    let (values, nulls) = ([Some(1), Some(2)], [Some(1), None]);
    for (rules, given, keeps) in [
        (
            &[["a", "default"], ["b", "default"]][..],
            &[("a", &values)][..],
            Some(false),
        ),
        (&[["b", "default"]], &[("a", &nulls)], Some(false)),
        (&[["b", "default"]], &[("b", &nulls)], Some(true)),
        (
            &[["a", "default"], ["b", "default"]],
            &[("a", &nulls)],
            None,
        ),
        (
            &[["a", "default"]],
            &[("c", &values), ("a", &nulls)],
            Some(true),
        ),
        (&[], &[("a", &nulls)], Some(true)),
    ] {
        let frame: Vec<(&str, &[Option<i32>])> = given
            .iter()
            .map(|(name, cells)| (*name, &cells[..]))
            .collect();
        let (written, requests) = inserted(with_columns(&table, rules), integers(&frame));
        match (written, keeps) {
            (Ok(2), Some(keeps)) => assert_eq!(requests[0].has("KEEP_NULLS"), keeps, "{given:?}"),
            (Err(error @ Error::Configuration(_)), None) => {
                let message = error.to_string();
                assert!(
                    message.contains("\"a\"") && message.contains("\"b\""),
                    "{message}"
                );
                assert!(!requests.iter().any(|request| request.has("INSERT BULK")));
            }
            (written, _) => panic!("{given:?}: {written:?}"),
        }
    }
}

/// Values for such a column would be passed over.
#[test]
fn columns_that_the_server_makes_are_refused() {
    let table = ["a", "made"].map(|name| (name, INT, tds::NULLABLE));
    for rule in ["computed", "rowversion"] {
        let script = || with_columns(&table, &[["made", rule]]);
        let (written, requests) = inserted(script(), integers(&[("made", &[Some(1)])]));
        let message = written.expect_err(rule).to_string();
        assert!(
            message.contains(&format!("\"made\" of table s.t is {rule}")),
            "{message}"
        );
        assert!(!requests.iter().any(|request| request.has("INSERT BULK")));
        let (written, _) = inserted(script(), integers(&[("a", &[Some(1)])]));
        assert_eq!(written.expect("written"), 1);
    }
}

#[test]
fn names_of_tables_are_quoted_and_looked_for_in_their_database() {
    for (table, name, sys) in [
        ("\"a.b\".[c]]'d]", "[a.b].[c]]'d]", "FROM sys.columns"),
        ("d.s.t", "[d].[s].[t]", "FROM [d].sys.columns"),
        ("#t", "[#t]", "FROM tempdb.sys.columns"),
    ] {
        let frame = integers(&[("v", &[Some(1)])]);
        let script = with_a_table(INT);
        let (connector, received) = script.serve();
        let stop = Stop::default();
        let mut connection = connector.connect(&stop).expect("connected");
        let frame = Frame::new(frame).expect("a frame");
        let written = connection.insert(table, &frame, OnConflict::Error, &stop);
        assert_eq!(written.expect(table), 1);
        let received = received.lock().expect("no panic");
        let load = format!("INSERT BULK {name} ([v] int)");
        assert!(received.iter().any(|request| request.has(&load)), "{table}");
        assert!(received.iter().any(|request| request.has(sys)), "{table}");
    }
}

#[test]
fn names_that_are_too_long_are_not_sent() {
    let (connector, received) = with_a_table(INT).serve();
    let stop = Stop::default();
    let mut connection = connector.connect(&stop).expect("connected");
    let before = received.lock().expect("no panic").len();
    let long = "😀".repeat(64) + "x";
    for (table, column) in [(&*long, "v"), (&format!("{long}.t"), "v"), ("s.t", &long)] {
        let frame = Frame::new(integers(&[(column, &[Some(1)])])).expect("a frame");
        let written = connection.insert(table, &frame, OnConflict::Error, &stop);
        let message = written.expect_err("too long").to_string();
        for part in [&*long, "129 characters", "128"] {
            assert!(message.contains(part), "{message}");
        }
    }
    connection.has_table(&long, &stop).expect_err("too long");
    assert_eq!(received.lock().expect("no panic").len(), before);
}

/// The types are looked up before the load, which locks the table.
#[test]
fn rows_for_a_table_that_was_altered_meanwhile_are_taken_back() {
    for (now, part) in [
        (
            &[("v", &b"\x6d\x04"[..], tds::NULLABLE)][..],
            "\"v\" of table [s].[t] was int when it was looked up, and real",
        ),
        (&[("w", INT, tds::NULLABLE)], "and gone"),
    ] {
        let before = about(&[("v", INT, tds::NULLABLE)]);
        let script = Script {
            first: vec![("sp_tablecollations_100", before)],
            ..with_columns(now, &[])
        };
        let (written, requests) = inserted(script, integers(&[("v", &[Some(1)])]));
        let error = written.expect_err("altered");
        assert!(matches!(error, Error::Query { code: None, .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!requests.iter().any(|request| request.has("COMMIT")));
        let last = requests.last().expect("requests");
        assert!(last.has("ROLLBACK TRANSACTION"));
    }
}

/// Columns that a query had when it was described, and those that come with its rows.
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

/// A type that the server describes more closely than it sends it is the same one.
#[test]
fn types_have_other_names_on_the_wire() {
    for (described, type_info) in [
        ("numeric(10, 2)", &b"\x6a\x09\x0a\x02"[..]),
        ("numeric(10, 2)", b"\x6c\x09\x0a\x02"),
        ("timestamp", b"\xad\x08\x00"),
        ("sysname", b"\xe7\x00\x01\x09\x04\xd0\x00\x34"),
        ("json", b"\xe7\xff\xff\x09\x04\xd0\x00\x34"),
    ] {
        let answer = [columns(&[("v", type_info)]), done(0)].concat();
        assert_eq!(answered(described, answer).expect(described).height, 0);
    }
}

/// Types whose values go as they came; the others go in another form, or not at all.
#[test]
fn what_was_read_is_written_with_the_same_bytes() {
    let mut count = 0;
    for (type_name, type_info, value, null, _) in TYPES {
        // A document goes as a text, a legacy value without its pointer, and a point in time without its zone.
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

/// python-tds 1.17.1, an independent client, writes the same bytes; also those of `TYPES`.
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
    // The load itself has no text that another answer is for.
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
    // In the caller's own transaction, only the rows are taken back.
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

/// A result of texts, as the server's own views have them.
fn texts(names: &[&str], rows: &[&[&str]]) -> Vec<u8> {
    let types: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, tds::NVARCHAR)).collect();
    let row = |row: &&[&str]| {
        let cells: Vec<u8> = row.iter().flat_map(|cell| tds::nvarchar(cell)).collect();
        [vec![0xd1], cells].concat()
    };
    let told: Vec<u8> = rows.iter().flat_map(row).collect();
    [columns(&types), told, done(rows.len() as u64)].concat()
}

/// The answers about a table `s.t` in the database `d`, whose column `v` is its primary key.
fn about_a_table() -> Script {
    let names = [
        "name",
        "system_type_name",
        "source_database",
        "source_schema",
        "source_table",
        "source_column",
    ];
    let steps: &[&[&str]] = &[&["1", "10", "0"], &["5", "10", "30"], &["9", "10", "40"]];
    Script::new("int", rows(b"\x26\x04", b"\x04\x07\x00\x00\x00", b"\x00"))
        .with(
            "N'', 1",
            texts(&names, &[&["v", "int", "d", "s", "t", "v"]]),
        )
        .with("is_primary_key", texts(&["name"], &[&["v"]]))
        .with(
            "dm_db_stats_histogram",
            texts(&["k", "equal_rows", "range_rows"], steps),
        )
}

fn planned(
    script: Script,
    query: &str,
    column: Option<&str>,
) -> (Result<Plan>, Arc<Mutex<Vec<tds::Request>>>) {
    let (connector, received) = script.serve();
    let stop = Stop::default();
    let described = connector
        .describe(&request(query, Parameters::default()), &stop)
        .expect("described");
    let split = Split {
        column: column.map(Into::into),
        partitions: 2,
        cuts: None,
    };
    (plan(&described, Some(&split), &stop), received)
}

#[test]
fn partitions_alone_split_by_the_primary_key_and_its_histogram() {
    let (plan, received) = planned(about_a_table(), QUERY, None);
    let plan = plan.expect("there is a primary key");
    let queries: Vec<&str> = plan.partitions.iter().map(|p| p.query.as_str()).collect();
    assert_eq!(
        queries,
        [
            "SELECT * FROM (\nSELECT v FROM t\n) AS q WHERE q.[v] < CAST(5 AS bigint) OR q.[v] IS NULL",
            "SELECT * FROM (\nSELECT v FROM t\n) AS q WHERE q.[v] >= CAST(5 AS bigint)",
        ]
    );
    let estimates: Vec<Option<f64>> = plan.partitions.iter().map(|p| p.estimated_rows).collect();
    assert_eq!(estimates, [Some(40.0), Some(60.0)]);
    let received = received.lock().expect("no panic");
    assert!(received.iter().any(|r| r.has("OBJECT_ID(N'[d].[s].[t]')")));
}

#[test]
fn tables_without_a_primary_key_need_a_column() {
    for (text, answer, reason) in [
        ("is_primary_key", texts(&["name"], &[]), "no primary key"),
        (
            "is_primary_key",
            texts(&["name"], &[&["other"]]),
            "\"other\" is not in",
        ),
        (
            "N'', 1",
            texts(&["name", "system_type_name"], &[&["v", "int"]]),
            "no table was found",
        ),
        (
            "N'', 1",
            error(11526, "The metadata could not be determined"),
            "no table was found",
        ),
    ] {
        let (plan, _) = planned(about_a_table().with(text, answer), QUERY, None);
        let message = plan.expect_err(reason).to_string();
        assert!(
            message.contains(reason) && message.contains("partition_on"),
            "{message}"
        );
    }
}

#[test]
fn without_a_histogram_some_rows_place_the_cuts() {
    let denied = error(229, "The SELECT permission was denied");
    for (query, histogram) in [
        (QUERY, denied),
        (QUERY, texts(&["k", "equal_rows", "range_rows"], &[])),
        // Its rows are not all of the table's.
        (
            "SELECT v FROM t WHERE v > 3",
            texts(
                &["k", "equal_rows", "range_rows"],
                &[&["7", "1", "0"], &["8", "1", "0"]],
            ),
        ),
    ] {
        let script = about_a_table()
            .with("dm_db_stats_histogram", histogram)
            .with(
                "SUM(CAST(1 AS bigint)) AS n FROM (\n",
                texts(&["n"], &[&["3"]]),
            )
            .with(
                "GROUP BY",
                texts(&["", "n"], &[&["1", "1"], &["2", "1"], &["3", "1"]]),
            );
        let (plan, _) = planned(script, query, Some("v"));
        let plan = plan.expect("sampled");
        assert!(
            plan.partitions[0].query.contains("< CAST(3 AS bigint)"),
            "{plan:?}"
        );
    }
}

/// The call of `sp_executesql`, as [MS-TDS] 2.2.6.6 has it.
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
    // Each value's name, its type with its size, and itself.
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
