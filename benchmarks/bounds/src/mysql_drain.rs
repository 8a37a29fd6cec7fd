//! Lower bound of reading from `MySQL` and `MariaDB`: receives the rows of prepared statements, in
//! binary, and discards them.
//!
//! ```text
//! mysql-drain <host> <port> <user> <database> <query>…
//! ```
//!
//! Runs one thread and one session per query. Each session parses the headers of the packets, as
//! every reader must, and reads nothing of the rows but their first byte. The time that this program
//! takes is the cost of the server and the kernel; the additional time of a real reader is its own
//! cost. Users log in without a password and without TLS. The clock runs from before the first
//! connection, as it does for a reader, until the last row.
//!
//! Prints `{"rows": …, "bytes": …, "seconds": …}`; `bytes` counts the packets of rows.

mod drained;

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use drained::{AnyError, Drained, drain_all};

/// Size of the receive buffer, the same as industrydb's.
const BUFFER_BYTES: usize = 256 * 1024;
/// Size of a packet's header: three bytes of length, and its number.
const HEADER_BYTES: usize = 4;

/// First bytes of the packets that this program knows.
const OK: u8 = 0x00;
const END: u8 = 0xfe;
const ERROR: u8 = 0xff;
/// A packet that begins like the end of rows and is longer is a row.
const LONGEST_END: usize = 5;

const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;

/// `CLIENT_LONG_PASSWORD`, `LONG_FLAG`, `CONNECT_WITH_DB`, `PROTOCOL_41`, `TRANSACTIONS`,
/// `SECURE_CONNECTION` and `PLUGIN_AUTH`.
const CAPABILITIES: u32 = 0x1 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000;
const LARGEST_PACKET: u32 = 1 << 30;
/// `utf8mb4_general_ci`.
const COLLATION: u8 = 45;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, user, database, queries @ ..] = arguments.as_slice() else {
        return Err("usage: mysql-drain <host> <port> <user> <database> <query>…".into());
    };
    let port: u16 = port.parse()?;

    drain_all(queries, |query| {
        Session::connect(host, port, user, database)?.drain(query)
    })
}

/// One logged-in connection. `buffer[start..end]` holds the bytes that are received but not yet
/// parsed.
struct Session {
    socket: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Session {
    fn connect(host: &str, port: u16, user: &str, database: &str) -> Result<Self, AnyError> {
        let socket = TcpStream::connect((host, port))?;
        socket.set_nodelay(true)?;
        let mut session = Self {
            socket,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
        };
        session.packet()?; // the greeting
        let mut login = CAPABILITIES.to_le_bytes().to_vec();
        login.extend(LARGEST_PACKET.to_le_bytes());
        login.push(COLLATION);
        login.extend([0; 23]);
        for text in [user, "", database, "mysql_native_password"] {
            login.extend(text.as_bytes()); // an empty text in the password's place has the length 0
            login.push(0);
        }
        session.send(1, &login)?;
        match session.packet()? {
            [OK, ..] => Ok(session),
            _ => {
                Err("the server asks for a password; only users without one are known here".into())
            }
        }
    }

    /// Runs a query as a prepared statement, and discards its rows up to and including the packet
    /// that ends them.
    fn drain(&mut self, query: &str) -> Result<Drained, AnyError> {
        self.send(0, &[&[PREPARE], query.as_bytes()].concat())?;
        let [OK, id @ .., _, _, _, _, _, _, _] = self.packet()? else {
            return Err("the server prepares no such statement".into());
        };
        let execute = [&[EXECUTE], id, &[0, 1, 0, 0, 0]].concat(); // no cursor, once
        self.skip_until_end()?; // the descriptions of the columns
        self.send(0, &execute)?;
        self.packet()?; // the number of columns
        self.skip_until_end()?;
        let mut drained = Drained::default();
        loop {
            let (first, length) = self.header()?;
            if first == END && length <= LONGEST_END {
                return Ok(drained);
            }
            self.skip(HEADER_BYTES + length)?;
            drained.rows += 1;
            drained.bytes += length as u64;
        }
    }

    /// Skips all packets up to and including the one that ends the descriptions of columns.
    fn skip_until_end(&mut self) -> Result<(), AnyError> {
        while !matches!(self.packet()?, [END, rest @ ..] if rest.len() < LONGEST_END) {}
        Ok(())
    }

    fn send(&mut self, number: u8, body: &[u8]) -> Result<(), AnyError> {
        let mut packet = u32::try_from(body.len())?.to_le_bytes();
        packet[3] = number;
        self.socket.write_all(&[&packet, body].concat())?;
        Ok(())
    }

    /// Returns the first byte and the length of the next packet, which stays in the buffer.
    fn header(&mut self) -> Result<(u8, usize), AnyError> {
        loop {
            if let [a, b, c, _, first, ..] = self.buffer[self.start..self.end] {
                if first == ERROR {
                    return Err("the server answers with an error".into());
                }
                return Ok((first, u32::from_le_bytes([a, b, c, 0]) as usize));
            }
            self.fill()?;
        }
    }

    /// Takes the next packet, which must fit into the buffer; only rows, which are skipped, may be
    /// larger.
    fn packet(&mut self) -> Result<&[u8], AnyError> {
        let (_, length) = self.header()?;
        while self.end - self.start < HEADER_BYTES + length {
            self.fill()?;
        }
        let body = self.start + HEADER_BYTES;
        self.start = body + length;
        Ok(&self.buffer[body..self.start])
    }

    /// Skips `len` bytes, received or not.
    fn skip(&mut self, mut len: usize) -> Result<(), AnyError> {
        while self.end - self.start < len {
            len -= self.end - self.start;
            self.start = self.end;
            self.fill()?;
        }
        self.start += len;
        Ok(())
    }

    /// Receives at least one byte after those that are not yet parsed.
    fn fill(&mut self) -> Result<(), AnyError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            return Err(
                format!("a packet other than a row is larger than {BUFFER_BYTES} bytes").into(),
            );
        }
        match self.socket.read(&mut self.buffer[self.end..])? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            received => {
                self.end += received;
                Ok(())
            }
        }
    }
}
