//! A blocking stream of messages, which are parsed in the buffer that the socket fills.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use industrydb_core::connector::ANSWER_BYTES;
use industrydb_core::net::stream::Stream;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::message::backend::{
    Message as Parsed, NOTICE_RESPONSE_TAG, NOTIFICATION_RESPONSE_TAG, PARAMETER_STATUS_TAG,
};

use super::errors::query_error;

/// Initial size of the buffer: one read takes all that has arrived, and the buffer stays in the
/// second-level cache.
const BUFFER_BYTES: usize = 256 << 10;

/// How long a server may accept no byte of a statement.
const PATIENCE: Duration = Duration::from_secs(30);

/// Length limit of a message during the login. The longest that servers send are Kerberos
/// certificates and error messages; libpq accepts 30,000 bytes of an error.
const LOGIN_MESSAGE_BYTES: usize = 32 << 10;

/// Largest number of bytes that a server may send until the login is complete.
const LOGIN_BYTES: usize = 1 << 20;

/// Message about a server that does not answer in time.
const NO_ANSWER: &str = "the PostgreSQL server accepted the connection but did not answer \
     the login within connect_timeout";

/// A message's tag, and the position of its body in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    body: (usize, usize),
}

/// The stream, and the bytes that have arrived from it.
pub(crate) struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    /// The bytes at `start..end` have arrived and are not taken yet.
    start: usize,
    end: usize,
    /// Time at which waiting for the server is given up: during the login, while sessions begin
    /// together, and at the end.
    pub(crate) deadline: Option<Instant>,
    /// Number of bytes that the server may still send until the login is complete; `None` after
    /// that.
    login_bytes: Option<usize>,
}

impl Wire {
    pub(crate) fn new(stream: Stream, deadline: Instant) -> Self {
        Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            deadline: Some(deadline),
            login_bytes: Some(LOGIN_BYTES),
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Lifts the limits of the login, which is complete.
    pub(crate) fn logged_in(&mut self) {
        self.deadline = None;
        self.login_bytes = None;
    }

    pub(crate) fn send(&mut self, bytes: &[u8], stop: &Stop) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let sent = self.send_waiting(bytes, |wire| {
            stop.check()?;
            wire.check_deadline()?;
            if Instant::now() < deadline {
                return Ok(());
            }
            Err(Error::unreachable(
                "the PostgreSQL server takes nothing more of a statement",
            ))
        });
        sent.map_err(|error| match error {
            Error::Connection { .. } => self.said().unwrap_or(error),
            other => other,
        })
    }

    /// Returns the error that the server has sent before it closed the connection, if there is one.
    fn said(&mut self) -> Option<Error> {
        while self.listen(&Stop::default()).ok()? {
            let message = self.arrived().ok()??;
            let mut bytes = self.whole(message).into();
            if let Ok(Some(Parsed::ErrorResponse(body))) = Parsed::parse(&mut bytes) {
                let error = query_error(&body).ok();
                return error.filter(|error| matches!(error, Error::Connection { .. }));
            }
        }
        None
    }

    /// Sends rows, which the server may be slow to accept. Meanwhile, it reads what the server
    /// sends, since the server may wait for that.
    pub(crate) fn send_listening(&mut self, bytes: &[u8], stop: &Stop) -> Result<()> {
        self.send_waiting(bytes, |wire| wire.listen(stop).map(drop))
    }

    fn send_waiting(
        &mut self,
        mut bytes: &[u8],
        mut wait: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(lost(&io::ErrorKind::WriteZero.into())),
                Ok(count) => bytes = &bytes[count..],
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => wait(self)?,
                    _ => return Err(lost(&error)),
                },
            }
        }
        self.stream.flush().map_err(|error| lost(&error))
    }

    /// Reads what has arrived, without waiting, and skips notices; returns whether another message
    /// has arrived.
    pub(crate) fn listen(&mut self, stop: &Stop) -> Result<bool> {
        loop {
            stop.check()?;
            while let Some((tag, length)) = self.frame(ANSWER_BYTES)? {
                if !matches!(
                    tag,
                    NOTICE_RESPONSE_TAG | PARAMETER_STATUS_TAG | NOTIFICATION_RESPONSE_TAG
                ) {
                    return Ok(true);
                }
                self.start += length;
            }
            if !self.take_arrived()? {
                return Ok(false);
            }
        }
    }

    /// Reads what has arrived, without waiting; returns whether that was anything.
    fn take_arrived(&mut self) -> Result<bool> {
        self.make_room();
        let failed = |error: io::Error| lost(&error);
        self.stream.set_nonblocking(true).map_err(failed)?;
        let arrived = self.stream.read(&mut self.buffer[self.end..]);
        self.stream.set_nonblocking(false).map_err(failed)?;
        match arrived {
            Ok(0) => Err(closed()),
            Ok(count) => {
                self.end += count;
                Ok(true)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Ok(false),
                _ => Err(lost(&error)),
            },
        }
    }

    /// Sends bytes that the server may already be unable to receive; errors are ignored.
    pub(crate) fn send_farewell(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Returns the next message if all of it has arrived, however long it is: the message of a row
    /// may be as long as the row.
    #[inline]
    pub(crate) fn arrived(&mut self) -> Result<Option<Message>> {
        self.arrived_within(usize::MAX)
    }

    #[inline]
    fn arrived_within(&mut self, limit: usize) -> Result<Option<Message>> {
        match self.frame(limit)? {
            None => Ok(None),
            Some((tag, length)) => {
                let body = (self.start + HEADER_BYTES, self.start + length);
                self.start += length;
                Ok(Some(Message { tag, body }))
            }
        }
    }

    /// Returns the number of bytes that have arrived and are not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// Returns the body of a message, which is valid until the next [`fill`](Wire::fill).
    #[inline]
    pub(crate) fn body(&self, message: Message) -> &[u8] {
        &self.buffer[message.body.0..message.body.1]
    }

    /// Returns a whole message with its header, for the parser of control messages.
    pub(crate) fn whole(&self, message: Message) -> &[u8] {
        &self.buffer[message.body.0 - HEADER_BYTES..message.body.1]
    }

    /// Waits for the next message, other than a read's rows: its length is limited.
    pub(crate) fn next(&mut self, stop: &Stop) -> Result<Message> {
        let limit = self.limit();
        loop {
            if let Some(message) = self.arrived_within(limit)? {
                return Ok(message);
            }
            self.fill(stop)?;
        }
    }

    /// Returns the length limit of messages other than rows.
    fn limit(&self) -> usize {
        match self.login_bytes {
            Some(_) => LOGIN_MESSAGE_BYTES,
            None => ANSWER_BYTES,
        }
    }

    /// Returns the tag and full length of the next message, if all of it has arrived.
    #[inline]
    fn frame(&self, limit: usize) -> Result<Option<(u8, usize)>> {
        frame(&self.buffer[self.start..self.end], limit)
    }

    /// Waits until a whole message has arrived, or until the deadline; returns whether one has
    /// arrived.
    pub(crate) fn arrives_before(&mut self, deadline: Instant, stop: &Stop) -> Result<bool> {
        while self.frame(self.limit())?.is_none() {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.fill_until(Some(deadline), stop)?;
        }
        Ok(true)
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // One message fills the buffer. The buffer grows only as bytes arrive, so that a false
            // length reserves nothing.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// Waits for more bytes, and returns how many came.
    pub(crate) fn fill(&mut self, stop: &Stop) -> Result<usize> {
        self.fill_until(None, stop)
    }

    /// Waits for more bytes, until a given time if there is one, and returns how many came.
    fn fill_until(&mut self, until: Option<Instant>, stop: &Stop) -> Result<usize> {
        // The checks come first, since bytes may keep coming without a pause.
        stop.check()?;
        self.check_deadline()?;
        self.make_room();
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(self.ended(closed())),
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
                        if until.is_some_and(|until| Instant::now() >= until) {
                            return Ok(0);
                        }
                    }
                    _ => return Err(self.ended(lost(&error))),
                },
            }
        }
    }

    /// Returns an error of the connection's end, which in the middle of a login may be that of
    /// another kind of server.
    fn ended(&self, error: Error) -> Error {
        match error {
            Error::Connection { message, .. } if self.login_bytes.is_some() => {
                Error::unreachable(format!("{message}; is this PostgreSQL?"))
            }
            error => error,
        }
    }

    fn check_deadline(&self) -> Result<()> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Error::unreachable(NO_ANSWER)),
            _ => Ok(()),
        }
    }
}

/// Returns whether an error means that the server has not answered in time.
pub(crate) fn is_late(error: &Error) -> bool {
    matches!(error, Error::Connection { message, .. } if message == NO_ANSWER)
}

#[cold]
fn endless_login() -> Error {
    Error::connection(format!(
        "the server sent more than {} KiB and has not let us in; is this PostgreSQL?",
        LOGIN_BYTES >> 10
    ))
}

fn closed() -> Error {
    Error::unreachable("the PostgreSQL server closed the connection in the middle of an answer")
}

fn lost(error: &io::Error) -> Error {
    Error::unreachable(format!(
        "lost the connection to the PostgreSQL server: {error}"
    ))
}

/// Number of bytes of the tag and length in front of each message's body.
const HEADER_BYTES: usize = 5;

/// Returns the tag and full length of the message that the bytes begin with, if all of it is there.
/// Its body may be at most `limit` bytes long.
#[inline]
fn frame(bytes: &[u8], limit: usize) -> Result<Option<(u8, usize)>> {
    let Some((&[tag, a, b, c, d], rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    // The length counts itself, but not the tag.
    let announced = i32::from_be_bytes([a, b, c, d]);
    let body = usize::try_from(i64::from(announced) - 4);
    let Some(body) = body.ok().filter(|body| *body <= limit) else {
        return Err(impossible(announced, limit));
    };
    Ok((rest.len() >= body).then_some((tag, HEADER_BYTES + body)))
}

#[cold]
fn impossible(announced: i32, limit: usize) -> Error {
    Error::connection(if announced < 4 {
        format!("the server sent a message of impossible length {announced}; is this PostgreSQL?")
    } else {
        let body = announced - 4;
        format!(
            "the server sent a message of {body} bytes where {limit} are the most; is this PostgreSQL?"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_seen_only_when_all_of_it_has_arrived() {
        let bytes = b"Z\0\0\0\x05IC";
        for split in 0..6 {
            assert_eq!(frame(&bytes[..split], 1).expect("no error"), None);
        }
        assert_eq!(frame(&bytes[..6], 1).expect("no error"), Some((b'Z', 6)));
        assert_eq!(frame(bytes, 1).expect("no error"), Some((b'Z', 6)));
    }

    #[test]
    fn impossible_lengths_are_an_error() {
        for bytes in [b"Z\0\0\0\x03", b"d\xff\xff\xff\xff"] {
            frame(bytes, usize::MAX).expect_err("an impossible length");
        }
    }

    #[test]
    fn a_message_is_refused_by_its_length_before_it_arrives() {
        let header = b"R\x7f\xff\xff\xff";
        assert_eq!(frame(header, usize::MAX).expect("no error"), None);
        frame(header, ANSWER_BYTES).expect_err("more than an answer has");
        assert_eq!(frame(b"R\0\0\0\x08", 4).expect("no error"), None);
        frame(b"R\0\0\0\x09", 4).expect_err("one byte too many");
    }
}
