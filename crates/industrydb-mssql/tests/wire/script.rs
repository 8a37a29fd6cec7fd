//! A scripted server, which answers requests from a script and records them.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use industrydb_core::{
    Chunk, Database, DatabaseConfig, DatabaseConnector, Parameters, Partition, Request, Result,
    Stop,
};
use industrydb_mssql::MssqlConnector;

use crate::tds::{self, columns, done, short, text};

/// The behaviour of a scripted server.
#[derive(Clone)]
pub(crate) struct Script {
    /// Answers by a text that the request contains; the first match counts.
    pub(crate) answers: Vec<(&'static str, Vec<u8>)>,
    /// Answers that take precedence over `answers`; each is given only once.
    pub(crate) first: Vec<(&'static str, Vec<u8>)>,
    /// Number of bytes per packet of an answer, without the header.
    pub(crate) packet_bytes: usize,
    /// Whether each byte is written separately.
    pub(crate) trickles: bool,
    /// Whether the server closes the connection after the answer to the query.
    pub(crate) hangs_up: bool,
    /// Stop flag that is set once the query has been answered.
    pub(crate) stops: Option<Stop>,
    /// Whether the answer to the login includes the packet size, which the driver relies on.
    pub(crate) logs_in: bool,
}

pub(crate) const PACKET_BYTES: usize = 4000;

/// Packet type of the rows of a bulk load.
pub(crate) const BULK_LOAD: u8 = 7;
pub(crate) const DONE: &[u8] = b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0";
pub(crate) const QUERY: &str = "SELECT v FROM t";

impl Script {
    /// Creates a script with the type of the query's only column, and the answer to the query.
    pub(crate) fn new(type_name: &str, answer: Vec<u8>) -> Self {
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

    /// Adds an answer to requests that contain a text, in front of the others.
    pub(crate) fn with(mut self, text: &'static str, answer: Vec<u8>) -> Self {
        self.answers.insert(0, (text, answer));
        self
    }

    /// Serves one client by the script.
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

    /// Starts the server; returns a connector to it, and the requests that it receives.
    pub(crate) fn serve(self) -> (MssqlConnector, Arc<Mutex<Vec<tds::Request>>>) {
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

/// Returns an ERROR token and the DONE token after it.
pub(crate) fn error(number: u32, message: &str) -> Vec<u8> {
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

pub(crate) fn request(query: &str, parameters: Parameters) -> Request {
    Request {
        queries: vec![query.to_owned()],
        parameters,
        setup: Vec::new(),
        snapshot: true,
        held: None,
        overrides: Vec::new(),
        settled: Vec::new(),
        narrowing: None,
    }
}

/// Reads the query from a server that follows the script.
pub(crate) fn read(script: Script, stop: &Stop) -> Result<Chunk> {
    let (connector, _) = script.serve();
    let request = request(QUERY, Parameters::default());
    connector
        .describe(&request, stop)?
        .read(&Partition::whole(0, QUERY), stop)
}

pub(crate) fn answered(type_name: &'static str, answer: Vec<u8>) -> Result<Chunk> {
    read(Script::new(type_name, answer), &Stop::default())
}

/// Returns an answer of three rows: a value in a ROW, a NULL in a ROW, and a NULL in an NBCROW.
pub(crate) fn rows(type_info: &[u8], value: &[u8], null: &[u8]) -> Vec<u8> {
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

/// DONE token that announces more results.
pub(crate) const MORE: &[u8] = b"\xfd\x11\x00\xc1\x00\x01\0\0\0\0\0\0\0";

/// Returns a result of one number, without DONE.
pub(crate) fn number(name: &str, value: u8) -> Vec<u8> {
    [
        columns(&[(name, b"\x26\x04")]),
        vec![0xd1, 4, value, 0, 0, 0],
    ]
    .concat()
}

/// Returns a result of texts, like those of the server's system views.
pub(crate) fn texts(names: &[&str], rows: &[&[&str]]) -> Vec<u8> {
    let types: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, tds::NVARCHAR)).collect();
    let row = |row: &&[&str]| {
        let cells: Vec<u8> = row.iter().flat_map(|cell| tds::nvarchar(cell)).collect();
        [vec![0xd1], cells].concat()
    };
    let told: Vec<u8> = rows.iter().flat_map(row).collect();
    [columns(&types), told, done(rows.len() as u64)].concat()
}
