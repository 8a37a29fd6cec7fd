//! A blocking stream of packets, which are parsed in the buffer that the socket fills.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use industrydb_core::connector::ANSWER_BYTES;
use industrydb_core::net::stream::Stream;
use industrydb_core::{Error, Result, Stop};

use crate::wire::compression::Compression;
use crate::wire::packet::ERROR;

/// Initial size of the buffer: one read takes all that has arrived, and the buffer stays in the
/// second-level cache.
const BUFFER_BYTES: usize = 256 << 10;

/// How long a server may accept no byte of a statement.
const PATIENCE: Duration = Duration::from_secs(30);

/// Length limit of a packet during the login.
const LOGIN_PACKET_BYTES: usize = 64 << 10;

/// Largest number of bytes that a server may send until the login is complete.
const LOGIN_BYTES: usize = 1 << 20;
/// Length of a packet that is continued in the next one.
const FULL: usize = 0xff_ffff;
/// Number of bytes of the length and sequence number in front of each packet.
const HEADER_BYTES: usize = 4;

/// Message about a server that does not answer in time.
const NO_ANSWER: &str = "the MySQL server accepted the connection but did not answer the login \
     within connect_timeout; is this MySQL?";

/// Position of a packet's body in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet(usize, usize);

/// The stream, and the bytes that have arrived from it.
pub(crate) struct Wire {
    stream: Option<Stream>,
    /// What packs and unpacks all bytes, if they are compressed.
    compression: Option<Box<Compression>>,
    buffer: Vec<u8>,
    /// The bytes at `start..end` have arrived and are not taken yet.
    start: usize,
    end: usize,
    /// Number of the next packet of either side.
    sequence: u8,
    /// Time at which waiting for the server is given up: during the login, and at the end.
    pub(crate) deadline: Option<Instant>,
    /// Number of bytes that the server may still send until the login is complete; `None` after
    /// that.
    login_bytes: Option<usize>,
}

impl Wire {
    pub(crate) fn new(stream: Stream, deadline: Instant) -> Self {
        Self {
            stream: Some(stream),
            compression: None,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            sequence: 0,
            deadline: Some(deadline),
            login_bytes: Some(LOGIN_BYTES),
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.stream, Some(Stream::Tls(_)))
    }

    pub(crate) fn is_unix(&self) -> bool {
        !matches!(self.stream, Some(Stream::Tls(_) | Stream::Tcp(_)) | None)
    }

    /// Replaces the stream by one over it, such as TLS. Bytes that have arrived in front of it were
    /// not sent by whom TLS verifies, and are an error.
    pub(crate) fn replace(&mut self, over: impl FnOnce(Stream) -> Result<Stream>) -> Result<()> {
        if self.start < self.end {
            return Err(Error::connection(
                "the server sent bytes in front of the TLS handshake",
            ));
        }
        let stream = self.stream.take().ok_or_else(closed)?;
        self.stream = Some(over(stream)?);
        Ok(())
    }

    /// Lifts the limits of the login, which is complete.
    pub(crate) fn logged_in(&mut self) {
        self.deadline = None;
        self.login_bytes = None;
    }

    /// Compresses all that is sent from now on, and unpacks all that comes.
    pub(crate) fn compress(&mut self) {
        let arrived = &self.buffer[self.start..self.end];
        self.compression = Some(Box::new(Compression::new(arrived)));
        self.start = self.end;
    }

    /// Sends the first packet of a command.
    pub(crate) fn command(&mut self, body: &[u8], stop: &Stop) -> Result<()> {
        self.restart();
        self.send(body, stop)
    }

    /// Starts to count packets anew, as with each command.
    fn restart(&mut self) {
        self.sequence = 0;
        if let Some(compression) = &mut self.compression {
            compression.restart();
        }
    }

    /// Sends a packet, in several parts if it is long.
    pub(crate) fn send(&mut self, body: &[u8], stop: &Stop) -> Result<()> {
        let bytes = self.framed(body)?;
        let deadline = Instant::now() + PATIENCE;
        self.write(&bytes, |wire| {
            stop.check()?;
            wire.check_deadline()?;
            if Instant::now() < deadline {
                return Ok(());
            }
            Err(Error::unreachable(
                "the MySQL server takes nothing more of a statement",
            ))
        })
    }

    /// Sends a packet of rows, which the server may be slow to accept.
    pub(crate) fn send_patiently(&mut self, body: &[u8], stop: &Stop) -> Result<()> {
        let bytes = self.framed(body)?;
        self.write(&bytes, |_| stop.check())
    }

    /// Returns a packet with its headers, compressed if all bytes are.
    fn framed(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        if let Some(compression) = &self.compression {
            self.sequence = compression.sequence();
        }
        let mut out = Vec::with_capacity(body.len() + HEADER_BYTES);
        let mut rest = body;
        loop {
            let (part, behind) = rest.split_at(rest.len().min(FULL));
            let length = u32::try_from(part.len()).unwrap_or_default().to_le_bytes();
            out.extend_from_slice(&length[..3]);
            out.push(self.sequence);
            out.extend_from_slice(part);
            self.sequence = self.sequence.wrapping_add(1);
            if part.len() < FULL {
                break;
            }
            rest = behind;
        }
        match &mut self.compression {
            Some(compression) => compression.pack(&out),
            None => Ok(out),
        }
    }

    fn write(
        &mut self,
        mut bytes: &[u8],
        mut wait: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream()?.write(bytes) {
                Ok(0) => return Err(lost(&io::ErrorKind::WriteZero.into())),
                Ok(count) => bytes = &bytes[count..],
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        wait(self)?;
                        if self.stream()?.has_ended() {
                            return Err(closed());
                        }
                    }
                    _ => return Err(lost(&error)),
                },
            }
        }
        self.stream()?.flush().map_err(|error| lost(&error))
    }

    fn stream(&mut self) -> Result<&mut Stream> {
        self.stream.as_mut().ok_or_else(closed)
    }

    /// Sends bytes that the server may already be unable to receive; errors are ignored.
    pub(crate) fn send_farewell(&mut self, body: &[u8]) {
        self.restart();
        let bytes = self.framed(body).unwrap_or_default();
        if let Some(stream) = &mut self.stream {
            let _ = stream.write_all(&bytes);
        }
    }

    /// Returns the next packet if all of it has arrived, however long it is: that of a row may be as
    /// long as the row.
    #[inline]
    pub(crate) fn arrived(&mut self) -> Result<Option<Packet>> {
        let bytes = &self.buffer[self.start..self.end];
        let Some((&[a, b, c, number], rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        if length == FULL {
            return self.join();
        }
        if rest.len() < length {
            return Ok(None);
        }
        if number != self.sequence {
            self.reject_disorder(number, self.sequence)?;
        }
        self.sequence = self.sequence.wrapping_add(1);
        let body = self.start + HEADER_BYTES;
        self.start = body + length;
        Ok(Some(Packet(body, self.start)))
    }

    /// Refuses a packet that is not the next one. The numbers of compressed packets say nothing:
    /// the servers leave some out, and the parts around the packets have numbers of their own. A
    /// server that has ended the session, say because nothing came for long, tells so in a packet
    /// that answers nothing.
    #[cold]
    fn reject_disorder(&self, number: u8, expected: u8) -> Result<()> {
        let first = self.buffer.get(self.start + HEADER_BYTES);
        let is_farewell = number == 0 && first == Some(&ERROR);
        if self.compression.is_some() || is_farewell {
            return Ok(());
        }
        Err(out_of_order(number, expected))
    }

    /// Joins the parts of a packet of 16 MiB or more in the buffer, once the last one has arrived.
    #[cold]
    fn join(&mut self) -> Result<Option<Packet>> {
        let mut parts = Vec::new();
        let mut at = self.start;
        let mut sequence = self.sequence;
        loop {
            let bytes = self.buffer.get(at..self.end).unwrap_or_default();
            let Some((&[a, b, c, number], rest)) = bytes.split_first_chunk() else {
                return Ok(None);
            };
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            if number != sequence {
                self.reject_disorder(number, sequence)?;
            }
            sequence = sequence.wrapping_add(1);
            if rest.len() < length {
                return Ok(None);
            }
            at += HEADER_BYTES;
            parts.push(at..at + length);
            at += length;
            if length < FULL {
                break;
            }
        }
        let first = self.start + HEADER_BYTES;
        let mut body_end = first;
        for part in parts {
            let length = part.len();
            self.buffer.copy_within(part, body_end);
            body_end += length;
        }
        self.sequence = sequence;
        self.start = at;
        Ok(Some(Packet(first, body_end)))
    }

    /// Returns the number of bytes that have arrived and are not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// Returns the body of a packet, which is valid until the next [`fill`](Wire::fill).
    #[inline]
    pub(crate) fn body(&self, packet: Packet) -> &[u8] {
        &self.buffer[packet.0..packet.1]
    }

    /// Waits for the next packet, other than a read's rows: its length is limited.
    pub(crate) fn next(&mut self, stop: &Stop) -> Result<Packet> {
        let limit = match self.login_bytes {
            Some(_) => LOGIN_PACKET_BYTES,
            None => ANSWER_BYTES,
        };
        loop {
            if let Some(packet) = self.arrived()? {
                return Ok(packet);
            }
            if self.waiting() > limit {
                return Err(Error::connection(format!(
                    "the server sent a packet of more than {limit} bytes where none is so long; is this MySQL?"
                )));
            }
            self.fill(stop)?;
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // One packet fills the buffer. The buffer grows only as bytes arrive, so that a false
            // length reserves nothing.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// Waits for more bytes, and returns how many came, once they are unpacked.
    pub(crate) fn fill(&mut self, stop: &Stop) -> Result<usize> {
        // The checks come first, since bytes may keep coming without a pause.
        stop.check()?;
        self.check_deadline()?;
        self.make_room();
        loop {
            let mut room = &mut self.buffer[self.end..];
            if let Some(compression) = &mut self.compression {
                let count = compression.unpack(room)?;
                if count > 0 {
                    self.end += count;
                    return Ok(count);
                }
                room = compression.room();
            }
            let stream = self.stream.as_mut().ok_or_else(closed)?;
            match stream.read(room) {
                Ok(0) => return Err(closed()),
                Ok(count) if let Some(compression) = &mut self.compression => {
                    compression.arrived(count);
                    stop.check()?;
                    self.check_deadline()?;
                }
                Ok(count) => {
                    self.end += count;
                    if let Some(left) = &mut self.login_bytes {
                        *left = left.checked_sub(count).ok_or_else(endless_login)?;
                    }
                    return Ok(count);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => stop.check()?,
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        stop.check()?;
                        self.check_deadline()?;
                    }
                    _ => return Err(lost(&error)),
                },
            }
        }
    }

    fn check_deadline(&self) -> Result<()> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Error::unreachable(NO_ANSWER)),
            _ => Ok(()),
        }
    }
}

#[cold]
fn endless_login() -> Error {
    Error::connection(format!(
        "the server sent more than {} KiB and has not let us in; is this MySQL?",
        LOGIN_BYTES >> 10
    ))
}

#[cold]
fn out_of_order(number: u8, expected: u8) -> Error {
    Error::connection(format!(
        "the server's packets are out of order: number {number} came where {expected} was expected; is this MySQL?"
    ))
}

fn closed() -> Error {
    Error::unreachable("the MySQL server closed the connection in the middle of an answer")
}

fn lost(error: &io::Error) -> Error {
    Error::unreachable(format!("lost the connection to the MySQL server: {error}"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Returns the bodies of the packets in the bytes, which arrive in pieces.
    fn packets(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>> {
        let (mut server, client) = UnixStream::pair().expect("a pair");
        let bytes = bytes.to_vec();
        let sender = std::thread::spawn(move || {
            for part in bytes.chunks(piece) {
                if server.write_all(part).is_err() {
                    return;
                }
            }
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut wire = Wire::new(Stream::Unix(client), deadline);
        wire.logged_in();
        let mut found = Vec::new();
        let result = loop {
            match wire.next(&Stop::default()) {
                Ok(packet) => found.push(wire.body(packet).to_vec()),
                Err(Error::Connection {
                    is_transient: true, ..
                }) => break Ok(found), // the end of the bytes
                Err(error) => break Err(error),
            }
        };
        drop(wire);
        sender.join().expect("sent");
        result
    }

    #[test]
    fn packets_are_seen_when_all_of_them_has_arrived() {
        let bytes = b"\x02\0\0\0ab\0\0\0\x01\x01\0\0\x02c";
        for piece in 1..bytes.len() {
            let found = packets(bytes, piece).expect("three packets");
            assert_eq!(found, [&b"ab"[..], b"", b"c"]);
        }
        assert!(packets(b"\x01\0\0\x07a", 5).is_err());
    }

    #[test]
    fn long_packets_are_joined() {
        for behind in [0, 1, 70_000] {
            let body: Vec<u8> = (0..=250).cycle().take(FULL + behind).collect();
            let mut bytes = b"\xff\xff\xff\0".to_vec();
            bytes.extend_from_slice(&body[..FULL]);
            bytes.extend_from_slice(&u32::try_from(behind).expect("short").to_le_bytes()[..3]);
            bytes.push(1);
            bytes.extend_from_slice(&body[FULL..]);
            bytes.extend_from_slice(b"\x01\0\0\x02z");
            let found = packets(&bytes, 1 << 20).expect("two packets");
            assert_eq!(found.len(), 2);
            assert!(found[0] == body && found[1] == b"z");
        }
    }
}
