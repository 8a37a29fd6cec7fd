//! What SQL Server sends, byte by byte: a scripted server that answers with the tokens of MS-TDS.
//!
//! python-tds 1.17.1, an independent client, reads the same values from the bytes of `TYPES`.
//!
//! <https://learn.microsoft.com/openspecs/windows_protocols/ms-tds>

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use industrydb_core::{Chunk, DatabaseConfig, DatabaseConnector, Error, Request, Result, Stop};
use industrydb_mssql::MssqlConnector;

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

fn text(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A text with its length in characters in front, in one byte.
fn short(value: &str) -> Vec<u8> {
    let length = u8::try_from(value.encode_utf16().count()).expect("short");
    [vec![length], text(value)].concat()
}

/// A text with its length in bytes in front, in two, as an `nvarchar` value has it.
fn nvarchar(value: &str) -> Vec<u8> {
    let bytes = text(value);
    let length = u16::try_from(bytes.len()).expect("short");
    [length.to_le_bytes().to_vec(), bytes].concat()
}

const NVARCHAR: &[u8] = b"\xe7\x00\x02\x09\x04\xd0\x00\x34";
const BIT: &[u8] = b"\x68\x01";

/// COLMETADATA of nullable columns.
fn columns(types: &[(&str, &[u8])]) -> Vec<u8> {
    let count = u16::try_from(types.len()).expect("few");
    let mut token = vec![0x81];
    token.extend(count.to_le_bytes());
    for (name, type_info) in types {
        token.extend([0, 0, 0, 0, 1, 0]);
        token.extend(*type_info);
        token.extend(short(name));
    }
    token
}

/// DONE, the last token of an answer, with the number of its rows.
fn done(rows: u64) -> Vec<u8> {
    [
        b"\xfd\x10\x00\xc1\x00".to_vec(),
        rows.to_le_bytes().to_vec(),
    ]
    .concat()
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
    let length = u16::try_from(body.len()).expect("short");
    [
        vec![0xaa],
        length.to_le_bytes().to_vec(),
        body,
        b"\xfd\x02\x00\x00\x00\0\0\0\0\0\0\0\0".to_vec(),
    ]
    .concat()
}

/// ENVCHANGE, with the same text for the new and the old value.
fn change(kind: u8, value: &str) -> Vec<u8> {
    token(0xe3, &[vec![kind], short(value), short(value)].concat())
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short");
    [&[kind], &length.to_le_bytes()[..], body].concat()
}

/// The size of packets.
fn size_token() -> Vec<u8> {
    change(4, "4096")
}

/// The answer to a login.
fn logged_in() -> Vec<u8> {
    let acknowledged = [
        b"\x01\x74\x00\x00\x04".to_vec(),
        short("scripted"),
        vec![16, 0, 0, 0],
    ]
    .concat();
    [
        size_token(),
        change(1, "db"),
        change(2, "us_english"),
        token(0xe3, b"\x07\x05\x09\x04\xd0\x00\x34\x00"), // the collation
        token(0xad, &acknowledged),
        b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
    ]
    .concat()
}

/// What `sp_describe_first_result_set` tells of one column.
fn described(type_name: &str) -> Vec<u8> {
    let names = [
        ("is_hidden", BIT),
        ("name", NVARCHAR),
        ("system_type_name", NVARCHAR),
        ("user_type_name", NVARCHAR),
    ];
    let row = [
        b"\xd1\x01\x00".to_vec(),
        nvarchar("v"),
        nvarchar(type_name),
        b"\xff\xff".to_vec(),
    ];
    [columns(&names), row.concat(), done(1)].concat()
}

/// Reads a message of one or more packets.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).ok()?;
        let mut part = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
        stream.read_exact(&mut part).ok()?;
        body.extend(part);
        if header[1] & 1 == 1 {
            return Some(body);
        }
    }
}

fn send(stream: &mut TcpStream, body: &[u8], packet_bytes: usize) -> Option<()> {
    let mut parts = body.chunks(packet_bytes).peekable();
    while let Some(part) = parts.next() {
        let last = u8::from(parts.peek().is_none());
        let length = u16::try_from(part.len() + 8).expect("small").to_be_bytes();
        let packet = [&[4, last, length[0], length[1], 0, 0, 1, 0], part].concat();
        stream.write_all(&packet).ok()?;
    }
    Some(())
}

fn serve(stream: &mut TcpStream, script: &Script) -> Option<()> {
    const WHOLE: usize = 4000;
    message(stream)?;
    // VERSION and ENCRYPTION, which is not supported.
    send(
        stream,
        b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff\x10\0\0\0\0\0\x02",
        WHOLE,
    )?;
    message(stream)?;
    let login = logged_in();
    // The change of the packet size stands at its front.
    let told = if script.logs_in {
        &login[..]
    } else {
        &login[size_token().len()..]
    };
    send(stream, told, WHOLE)?;
    loop {
        let request = message(stream)?;
        let has = |word: &str| {
            request
                .windows(2 * word.len())
                .any(|part| part == text(word))
        };
        if has("TEXTSIZE") {
            send(stream, b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0", WHOLE)?;
        } else if has("sp_describe") {
            send(stream, &described(script.type_name), WHOLE)?;
        } else {
            send(stream, &script.answer, script.packet_bytes)?;
            if script.hangs_up {
                return None;
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
