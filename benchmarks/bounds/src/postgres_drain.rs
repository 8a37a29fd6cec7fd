//! Lower bound of reading from `PostgreSQL`: receives binary `COPY` data and discards it.
//!
//! ```text
//! postgres-drain <host or socket directory> <port> <user> <database> <query>…
//! ```
//!
//! Runs one thread and one session per query. Each session parses the message headers, as every
//! reader must, and reads nothing inside the messages. The time that this program takes is the cost
//! of the server and the kernel; the additional time of a real reader is its own cost. Sessions log
//! in without a password (`trust`). The clock runs from before the first connection, as it does for
//! a reader, until the last row.
//!
//! Prints `{"rows": …, "bytes": …, "seconds": …}`; `bytes` counts the payload of `COPY`.

mod drained;

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{COPY_DATA_TAG, ErrorResponseBody, Header, Message};
use postgres_protocol::message::frontend;

use drained::{AnyError, Drained, drain_all};

/// Size of the receive buffer, large enough for one system call to receive about two thousand rows.
/// A larger buffer is no faster.
const BUFFER_BYTES: usize = 256 * 1024;
/// Size of a message header: one byte of tag and four of length. The length counts itself but not
/// the tag.
const HEADER_BYTES: usize = 5;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, user, database, queries @ ..] = arguments.as_slice() else {
        return Err(
            "usage: postgres-drain <host or socket directory> <port> <user> <database> <query>…"
                .into(),
        );
    };
    let port: u16 = port.parse()?;

    drain_all(queries, |query| {
        Session::connect(host, port, user, database)?.drain(query)
    })
}

/// One logged-in connection. `buffer[start..end]` holds the bytes that are received but not yet
/// parsed.
struct Session {
    socket: Box<dyn Socket>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// TCP and Unix sockets behind one trait. Calls are dispatched once per 256 KiB, so the indirection
/// costs nothing.
trait Socket: Read + Write {}
impl<S: Read + Write> Socket for S {}

impl Session {
    /// Connects and logs in. A host that starts with `/` is the directory of a Unix socket.
    fn connect(host: &str, port: u16, user: &str, database: &str) -> Result<Self, AnyError> {
        let socket: Box<dyn Socket> = if host.starts_with('/') {
            Box::new(UnixStream::connect(format!("{host}/.s.PGSQL.{port}"))?)
        } else {
            Box::new(TcpStream::connect((host, port))?)
        };
        let mut session = Self {
            socket,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
        };
        let mut startup = BytesMut::new();
        frontend::startup_message([("user", user), ("database", database)], &mut startup)?;
        session.socket.write_all(&startup)?;
        loop {
            let header = session.header()?;
            match session.message(header)? {
                Message::ReadyForQuery(_) => return Ok(session),
                Message::ErrorResponse(body) => return Err(server_error(&body)),
                Message::AuthenticationOk
                | Message::BackendKeyData(_)
                | Message::NoticeResponse(_)
                | Message::ParameterStatus(_) => {}
                _ => {
                    return Err(
                        "the server asks for a password; only trust authentication is spoken here"
                            .into(),
                    );
                }
            }
        }
    }

    /// Copies the query's rows out and discards them, up to and including the server's confirmation
    /// that all rows were sent.
    fn drain(&mut self, query: &str) -> Result<Drained, AnyError> {
        let mut request = BytesMut::new();
        frontend::query(
            &format!("COPY ({query}) TO STDOUT (FORMAT binary)"),
            &mut request,
        )?;
        self.socket.write_all(&request)?;

        let mut bytes = 0;
        let mut copy_done = false;
        let mut rows = None;
        loop {
            let header = self.header()?;
            if header.tag() == COPY_DATA_TAG {
                let body = body_bytes(header)?;
                self.skip(HEADER_BYTES + body)?;
                bytes += body as u64;
                continue;
            }
            match self.message(header)? {
                Message::CopyDone => copy_done = true,
                Message::CommandComplete(body) => rows = Some(copied_rows(body.tag()?)?),
                Message::ErrorResponse(body) => return Err(server_error(&body)),
                Message::ReadyForQuery(_) => break,
                _ => {} // the start of the copy, notices, changed parameters
            }
        }
        match (copy_done, rows) {
            (true, Some(rows)) => Ok(Drained { rows, bytes }),
            _ => Err("the server became ready without completing the copy".into()),
        }
    }

    /// Returns the header of the next message, which stays in the buffer.
    fn header(&mut self) -> Result<Header, AnyError> {
        loop {
            match Header::parse(&self.buffer[self.start..self.end])? {
                Some(header) => return Ok(header),
                None => self.fill()?,
            }
        }
    }

    /// Takes the next message, which must fit into the buffer; only `COPY` data, which is skipped,
    /// may be larger.
    fn message(&mut self, header: Header) -> Result<Message, AnyError> {
        let len = HEADER_BYTES + body_bytes(header)?;
        while self.end - self.start < len {
            self.fill()?;
        }
        let mut bytes = BytesMut::from(&self.buffer[self.start..self.start + len]);
        self.start += len;
        Message::parse(&mut bytes)?.ok_or_else(|| "a message is shorter than announced".into())
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
            return Err(format!(
                "a message other than COPY data is larger than {BUFFER_BYTES} bytes"
            )
            .into());
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

/// Returns the number of bytes after the header; `Header::parse` has refused lengths below four.
fn body_bytes(header: Header) -> Result<usize, AnyError> {
    Ok(usize::try_from(header.len())? + 1 - HEADER_BYTES)
}

/// Returns the row count in a command tag such as `COPY 6001215`.
fn copied_rows(tag: &str) -> Result<u64, AnyError> {
    let rows = tag
        .strip_prefix("COPY ")
        .ok_or_else(|| format!("expected a COPY to complete, not {tag:?}"))?;
    Ok(rows.parse()?)
}

/// Converts the server's message and SQLSTATE to an error.
fn server_error(body: &ErrorResponseBody) -> AnyError {
    let mut fields = body.fields();
    let (mut code, mut message) = (String::new(), String::new());
    while let Ok(Some(field)) = fields.next() {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = value,
            b'M' => message = value,
            _ => {}
        }
    }
    format!("{message} (SQLSTATE {code})").into()
}
