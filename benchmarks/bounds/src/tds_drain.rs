//! Lower bound of reading from SQL Server: receives packets and discards them.
//!
//! ```text
//! tds-drain <port> <query>…
//! ```
//!
//! Runs one thread and one session per query, with a server on this machine that accepts any login
//! and no encryption. Each session parses the packet headers, as every reader must, and reads
//! nothing inside the packets except the row count at the end. The clock runs from before the first
//! connection, as it does for a reader, until the last row.
//!
//! Prints `{"rows": …, "bytes": …, "seconds": …}`; `bytes` counts the packets without their
//! headers.

mod drained;

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use drained::{AnyError, Drained, drain_all};

const BUFFER_BYTES: usize = 256 * 1024;
const HEADER_BYTES: usize = 8;
const PACKET_BYTES: u32 = 32_767;

const BATCH: u8 = 1;
const LOGIN: u8 = 16;
const PRELOGIN: u8 = 18;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, queries @ ..] = arguments.as_slice() else {
        return Err("usage: tds-drain <port> <query>…".into());
    };
    let port: u16 = port.parse()?;

    drain_all(queries, |query| {
        let (rows, bytes) = drain(port, query)?;
        let bytes = u64::try_from(bytes)?;
        Ok(Drained { rows, bytes })
    })
}

/// Connects, logs in, and receives a query's answer; returns the number of its rows and bytes.
fn drain(port: u16, query: &str) -> Result<(u64, usize), AnyError> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    // VERSION, and ENCRYPTION as not supported.
    let prelogin = b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff\x10\0\0\0\0\0\x02";
    ask(&mut stream, PRELOGIN, prelogin)?;
    receive(&mut stream, &mut buffer)?;
    ask(&mut stream, LOGIN, &login())?;
    receive(&mut stream, &mut buffer)?;
    // ALL_HEADERS, with nothing but its own length, and the query's text.
    let text = query.encode_utf16().flat_map(u16::to_le_bytes);
    let batch: Vec<u8> = 4_u32.to_le_bytes().into_iter().chain(text).collect();
    ask(&mut stream, BATCH, &batch)?;
    let (end, bytes) = receive(&mut stream, &mut buffer)?;
    Ok((u64::from_le_bytes(end), bytes))
}

/// Returns a LOGIN7 without a user: its length, the protocol version and the packet size.
fn login() -> Vec<u8> {
    const LOGIN_BYTES: u32 = 94;
    const TDS_7_4: u32 = 0x7400_0004;
    let mut login: Vec<u8> = [LOGIN_BYTES, TDS_7_4, PACKET_BYTES]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    login.resize(LOGIN_BYTES as usize, 0);
    login
}

fn ask(stream: &mut TcpStream, kind: u8, body: &[u8]) -> Result<(), AnyError> {
    let [high, low] = u16::try_from(HEADER_BYTES + body.len())?.to_be_bytes();
    let packet = [&[kind, 1, high, low, 0, 0, 1, 0], body].concat();
    Ok(stream.write_all(&packet)?)
}

/// Receives the packets of one message; returns its last eight bytes and the number of all bytes.
fn receive(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<([u8; 8], usize), AnyError> {
    let (mut start, mut end, mut bytes) = (0, 0, 0);
    loop {
        while let Some(packet) = packet(&buffer[start..end]) {
            let is_last = packet[1] & 1 == 1;
            bytes += packet.len() - HEADER_BYTES;
            start += packet.len();
            if is_last {
                let rows = packet.last_chunk().ok_or("no DONE")?;
                return Ok((*rows, bytes));
            }
        }
        buffer.copy_within(start..end, 0);
        end -= start;
        start = 0;
        match stream.read(&mut buffer[end..])? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            received => end += received,
        }
    }
}

/// Returns the first packet, if it has been received completely.
fn packet(received: &[u8]) -> Option<&[u8]> {
    let header = received.first_chunk::<HEADER_BYTES>()?;
    let length = u16::from_be_bytes([header[2], header[3]]);
    received.get(..usize::from(length))
}
