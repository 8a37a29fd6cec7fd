//! What SQL Server sends, byte by byte: a scripted server that answers with the tokens of MS-TDS.
//!
//! python-tds 1.17.1, an independent client, reads the same values from the bytes of `TYPES`.

mod tds;

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use industrydb_core::{Chunk, DatabaseConfig, DatabaseConnector, Error, Request, Result, Stop};
use industrydb_mssql::MssqlConnector;

use tds::{columns, done, short, text};

/// What a server answers to the query itself, cut into packets of so many bytes, before it closes the connection if it is told to.
#[derive(Clone)]
struct Script {
    type_name: &'static str,
    answer: Vec<u8>,
    packet_bytes: usize,
    hangs_up: bool,
    /// Whether the answer to the login has all that the driver counts on.
    logs_in: bool,
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

fn serve(stream: &mut TcpStream, script: &Script) -> io::Result<()> {
    const WHOLE: usize = 4000;
    tds::receive(stream)?;
    tds::send(stream, tds::PRELOGIN, WHOLE)?;
    tds::receive(stream)?;
    let [size, rest] = tds::logged_in(WHOLE + tds::HEADER_BYTES);
    let told = if script.logs_in {
        [size, rest].concat()
    } else {
        rest
    };
    tds::send(stream, &told, WHOLE)?;
    loop {
        let request = tds::receive(stream)?;
        if request.has("TEXTSIZE") {
            tds::send(stream, b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0", WHOLE)?;
        } else if request.has("sp_describe") {
            tds::send(stream, &tds::described(&[("v", script.type_name)]), WHOLE)?;
        } else {
            tds::send(stream, &script.answer, script.packet_bytes)?;
            if script.hangs_up {
                return Ok(());
            }
        }
    }
}

/// Reads `SELECT v` from a server that follows the script.
fn read(script: Script, stop: &Stop) -> Result<Chunk> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = serve(&mut stream, &script);
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let uri = format!("mssql://sa:x@127.0.0.1:{port}/db?encrypt=false");
    let connector = MssqlConnector::new(&DatabaseConfig::from_uri(&uri)?)?;
    let query = "SELECT v FROM t".to_owned();
    let request = Request {
        queries: vec![query.clone()],
        parameters: industrydb_core::Parameters::default(),
        setup: Vec::new(),
        snapshot: true,
        overrides: Vec::new(),
    };
    connector.describe(&request, stop)?.read(&query, stop)
}

fn answered(type_name: &'static str, answer: Vec<u8>) -> Result<Chunk> {
    let script = Script {
        type_name,
        answer,
        packet_bytes: 4000,
        hangs_up: false,
        logs_in: true,
    };
    read(script, &Stop::default())
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
const TYPES: [Row; 27] = [
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
        for packet_bytes in [1, 2, 3, 7, 4000] {
            let script = Script {
                type_name,
                answer: rows(type_info, value, null),
                packet_bytes,
                hangs_up: false,
                logs_in: true,
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
fn an_answer_that_is_cut_off_is_an_error() {
    let answer = rows(b"\x26\x04", b"\x04\x07\x00\x00\x00", b"\x00");
    for end in 0..answer.len() {
        let script = Script {
            type_name: "int",
            answer: answer[..end].to_vec(),
            packet_bytes: 4000,
            hangs_up: true,
            logs_in: true,
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
    assert!(matches!(error, Error::Conversion(_)), "{error}");
    for garbage in [vec![0x01], vec![0xff; 40], vec![0x81, 0xff, 0xfe, 0, 0]] {
        let script = Script {
            type_name: "int",
            answer: garbage,
            packet_bytes: 4000,
            hangs_up: true,
            logs_in: true,
        };
        read(script, &Stop::default()).err().expect("garbage");
    }
}

#[test]
fn a_server_that_says_nothing_more_can_be_stopped() {
    let stop = Stop::default();
    let stopping = stop.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        stopping.set();
    });
    let script = Script {
        type_name: "int",
        answer: columns(&[("v", b"\x26\x04")]),
        packet_bytes: 4000,
        hangs_up: false,
        logs_in: true,
    };
    let error = read(script, &stop).err().expect("stopped");
    assert!(matches!(error, Error::Interrupted), "{error}");
}

#[test]
fn a_login_without_a_packet_size_is_an_error() {
    let script = Script {
        type_name: "int",
        answer: Vec::new(),
        packet_bytes: 4000,
        hangs_up: false,
        logs_in: false,
    };
    let error = read(script, &Stop::default()).err().expect("no login");
    assert!(error.to_string().contains("packets of 0 bytes"), "{error}");
}
