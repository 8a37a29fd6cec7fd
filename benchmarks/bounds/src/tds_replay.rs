//! A server that speaks SQL Server's protocol and sends prepared answers: TPC-H's lineitem in two
//! halves.
//!
//! ```text
//! tds-replay <lineitem.csv> <rows> <key>
//! ```
//!
//! The program reads the file's first rows and encodes them as SQL Server would send them from a
//! table with the types of `COLUMNS`. It does not parse SQL: a query that contains `<=` gets the
//! rows from the key on, `sp_describe_first_result_set` gets the columns, a query with `TOP` gets
//! no rows, and any other query gets the rows below the key. So the server costs next to nothing
//! compared with its client, and a measurement with it is one of the client. Any password is
//! accepted; there is no encryption.
//!
//! Prints its port on 127.0.0.1 once it listens, and serves until it is killed.

#[path = "../../../crates/industrydb-mssql/tests/tds/mod.rs"]
mod tds;

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use chrono::{Datelike, NaiveDate};
use csv::{Reader, StringRecord};

type AnyError = Box<dyn Error + Send + Sync>;

/// Bytes of a login that hold the packet size that the client asks for.
const ASKED_PACKET_BYTES: std::ops::Range<usize> = 8..12;

/// A column's type: its name, its `TYPE_INFO`, and the function that encodes a value.
type Column = (
    &'static str,
    &'static [u8],
    fn(&str) -> Result<Vec<u8>, AnyError>,
);

const BIGINT: Column = ("bigint", b"\x7f", |value| {
    Ok(value.parse::<i64>()?.to_le_bytes().to_vec())
});
const INT: Column = ("int", b"\x38", |value| {
    Ok(value.parse::<i32>()?.to_le_bytes().to_vec())
});
/// Amounts of money. The sign byte 1 means positive; eight bytes hold up to 19 digits.
const AMOUNT: Column = ("decimal(15,2)", b"\x6a\x09\x0f\x02", |value| {
    let (units, cents) = value.split_once('.').unwrap_or((value, "00"));
    let cents: u64 = format!("{units}{cents:0<2}").parse()?;
    Ok([&[9, 1][..], &cents.to_le_bytes()].concat())
});
const FLAG: Column = ("char(1)", b"\xaf\x01\x00\x09\x04\xd0\x00\x34", |value| {
    Ok(tds::sized(value.as_bytes()))
});
const DATE: Column = ("date", b"\x28", |value| {
    let days = value.parse::<NaiveDate>()?.num_days_from_ce() - 1;
    let [a, b, c, _] = days.to_le_bytes();
    Ok(vec![3, a, b, c])
});
const TEXT: Column = (
    "nvarchar(44)",
    b"\xe7\x58\x00\x09\x04\xd0\x00\x34",
    |value| Ok(tds::nvarchar(value)),
);

const COLUMNS: [(&str, Column); 16] = [
    ("l_orderkey", BIGINT),
    ("l_partkey", INT),
    ("l_suppkey", INT),
    ("l_linenumber", INT),
    ("l_quantity", AMOUNT),
    ("l_extendedprice", AMOUNT),
    ("l_discount", AMOUNT),
    ("l_tax", AMOUNT),
    ("l_returnflag", FLAG),
    ("l_linestatus", FLAG),
    ("l_shipdate", DATE),
    ("l_commitdate", DATE),
    ("l_receiptdate", DATE),
    ("l_shipinstruct", TEXT),
    ("l_shipmode", TEXT),
    ("l_comment", TEXT),
];

/// The prepared answers: the description, no rows, the rows below the key, and the rows from the
/// key on.
struct Answers {
    described: Vec<u8>,
    none: Vec<u8>,
    below: Vec<u8>,
    above: Vec<u8>,
    /// `above` (`true`) and `below` (`false`), in packets of the sizes that clients have asked for.
    packets: Mutex<HashMap<(bool, usize), Packets>>,
}

type Packets = Arc<Vec<u8>>;

impl Answers {
    fn packets(&self, is_above: bool, packet_bytes: usize) -> Packets {
        let mut packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = packets.entry((is_above, packet_bytes)).or_insert_with(|| {
            let answer = if is_above { &self.above } else { &self.below };
            Arc::new(tds::packets(answer, packet_bytes))
        });
        Arc::clone(entry)
    }
}

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, rows, key] = arguments.as_slice() else {
        return Err("usage: tds-replay <lineitem.csv> <rows> <key>".into());
    };
    let answers = Arc::new(answers(path, rows.parse()?, key.parse()?)?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let (mut stream, answers) = (stream?, Arc::clone(&answers));
        // `serve` returns an error when the client has closed the connection.
        thread::spawn(move || serve(&mut stream, &answers));
    }
    Ok(())
}

fn answers(path: &str, rows: usize, key: i64) -> Result<Answers, AnyError> {
    let types: Vec<(&str, &[u8])> = COLUMNS.map(|(name, (_, info, _))| (name, info)).to_vec();
    let names: Vec<(&str, &str)> = COLUMNS
        .map(|(name, (type_name, ..))| (name, type_name))
        .to_vec();
    let head = tds::columns(&types);
    let mut halves = [(head.clone(), 0), (head.clone(), 0)];
    for record in Reader::from_path(path)?.records().take(rows) {
        let record = record?;
        let is_above = record.get(0).ok_or("a row without a key")?.parse::<i64>()? >= key;
        let (answer, count) = &mut halves[usize::from(is_above)];
        put_row(answer, &record)?;
        *count += 1;
    }
    let [below, above] = halves.map(|(mut answer, count)| {
        answer.extend(tds::done(count));
        answer
    });
    Ok(Answers {
        described: tds::described(&names),
        none: [head, tds::done(0)].concat(),
        below,
        above,
        packets: Mutex::default(),
    })
}

/// Appends a ROW token.
fn put_row(answer: &mut Vec<u8>, record: &StringRecord) -> Result<(), AnyError> {
    const ROW: u8 = 0xd1;
    answer.push(ROW);
    for ((_, (_, _, bytes)), value) in COLUMNS.iter().zip(record) {
        answer.extend(bytes(value)?);
    }
    Ok(())
}

fn serve(stream: &mut TcpStream, answers: &Answers) -> io::Result<()> {
    const FIRST_PACKET_BYTES: usize = 4096;
    const SMALLEST_PACKET_BYTES: usize = 512;
    stream.set_nodelay(true)?;
    tds::receive(stream)?;
    tds::send(stream, tds::PRELOGIN, FIRST_PACKET_BYTES)?;
    let login = tds::receive(stream)?.body;
    let asked = login
        .get(ASKED_PACKET_BYTES)
        .and_then(|size| size.try_into().ok());
    let asked = asked.map_or(FIRST_PACKET_BYTES, |size| u32::from_le_bytes(size) as usize);
    let packet_bytes = asked.max(SMALLEST_PACKET_BYTES);
    tds::send(
        stream,
        &tds::logged_in(packet_bytes).concat(),
        FIRST_PACKET_BYTES,
    )?;
    loop {
        let request = tds::receive(stream)?;
        let answer = if request.kind == tds::ATTENTION {
            tds::CANCELLED
        } else if request.has("SET ") {
            &tds::done(0)
        } else if request.has("sp_describe") {
            &answers.described
        } else if request.has("TOP") {
            &answers.none
        } else {
            let packets = answers.packets(request.has("<="), packet_bytes - tds::HEADER_BYTES);
            stream.write_all(&packets)?;
            continue;
        };
        tds::send(stream, answer, packet_bytes - tds::HEADER_BYTES)?;
    }
}
