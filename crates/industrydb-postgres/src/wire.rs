//! A blocking stream of messages, taken apart in the buffer that the socket fills.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use industrydb_core::{Error, Result, Stop};
use native_tls::TlsStream;
use postgres_protocol::message::backend::{
    NOTICE_RESPONSE_TAG, NOTIFICATION_RESPONSE_TAG, PARAMETER_STATUS_TAG,
};

use crate::options::Address;

/// Large enough that a read takes all that has arrived; it stays in the second-level cache.
const BUFFER_BYTES: usize = 256 << 10;

/// How long the server is waited for before a look at whether the work is to stop.
const POLL: Duration = Duration::from_millis(100);

/// How long the server may take no byte before it is listened to: it may wait for that.
const WRITE_POLL: Duration = Duration::from_millis(2);

/// How long a server may take no byte of a statement.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is said of a server that does not answer in time.
const NO_ANSWER: &str = "the PostgreSQL server accepted the connection but did not answer \
     the login within connect_timeout";

/// A connection to the server, by whichever way.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    Tls(Box<TlsStream<Yielding>>),
}

impl Stream {
    /// Connects without logging in, in a thread of its own, which is left to itself when the work is to stop: neither the
    /// look-up of a name nor an attempt to connect can be ended.
    pub(crate) fn connect(address: &Address, timeout: Duration, stop: &Stop) -> Result<Self> {
        let failed = |error: io::Error| {
            let place = match address {
                Address::Tcp(host, port) => format!("{host}:{port}"),
                Address::Unix(path) => format!("the socket {}", path.display()),
            };
            let message = format!("cannot connect to the PostgreSQL server at {place}: {error}");
            match error.kind() {
                io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Unsupported => Error::connection(message),
                _ => Error::unreachable(message),
            }
        };
        let (sender, receiver) = mpsc::channel();
        let deadline = Instant::now() + timeout;
        let address = address.clone();
        let attempt = move || {
            let _ = sender.send(connected(&address, timeout)); // nobody may wait for it any more
        };
        thread::Builder::new().spawn(attempt).map_err(failed)?;
        loop {
            match receiver.recv_timeout(POLL) {
                Ok(stream) => return stream.map_err(failed),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => stop.check()?,
                Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
            }
        }
    }
}

/// Tries each address that the name stands for.
fn connected(address: &Address, timeout: Duration) -> io::Result<Stream> {
    let (host, port) = match address {
        Address::Tcp(host, port) => (host.as_str(), *port),
        #[cfg(unix)]
        Address::Unix(path) => {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_read_timeout(Some(POLL))?;
            stream.set_write_timeout(Some(WRITE_POLL))?;
            return Ok(Stream::Unix(stream));
        }
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    let share = timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last_error = io::Error::other("the name stands for no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, share) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(POLL))?;
                stream.set_write_timeout(Some(WRITE_POLL))?;
                return Ok(Stream::Tcp(stream));
            }
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

impl Stream {
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_nonblocking(nonblocking),
            Self::Tls(stream) => stream.get_ref().0.set_nonblocking(nonblocking),
        }
    }
}

/// The stream below TLS. OpenSSL reads on until it has a whole record, which a server may send byte by byte: so behind a
/// part of what is asked for, this one says once that there is nothing more, and it can be looked at whether to stop.
pub(crate) struct Yielding(TcpStream, bool);

impl Yielding {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(stream, false)
    }
}

impl Read for Yielding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.1) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.0.read(buffer)?;
        self.1 = count < buffer.len();
        Ok(count)
    }
}

impl Write for Yielding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A message's tag, and where its body stands in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    body: (usize, usize),
}

/// The stream and what of it has arrived.
pub(crate) struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    /// What has arrived and is not taken yet stands at `start..end`.
    start: usize,
    end: usize,
    /// When waiting for the server is given up: while logging in, beginning together with other
    /// sessions, and ending.
    pub(crate) deadline: Option<Instant>,
}

impl Wire {
    pub(crate) fn new(stream: Stream, deadline: Instant) -> Self {
        Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            deadline: Some(deadline),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8], stop: &Stop) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        self.send_waiting(bytes, |_| {
            stop.check()?;
            if Instant::now() < deadline {
                return Ok(());
            }
            Err(Error::unreachable(
                "the PostgreSQL server takes nothing more of a statement",
            ))
        })
    }

    /// Sends rows, which the server may be slow to take: what it says meanwhile is taken in, since it may wait for that.
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

    /// Takes in what has arrived, without waiting, and passes over notices; tells whether there is more than notices.
    pub(crate) fn listen(&mut self, stop: &Stop) -> Result<bool> {
        loop {
            stop.check()?;
            while let Some((tag, length)) = frame(&self.buffer[self.start..self.end])? {
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

    /// Takes in what has arrived, without waiting; tells whether that was anything.
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

    /// Sends what the server may already be unable to take.
    pub(crate) fn send_farewell(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next message if all of it has arrived.
    #[inline]
    pub(crate) fn arrived(&mut self) -> Result<Option<Message>> {
        match frame(&self.buffer[self.start..self.end])? {
            None => Ok(None),
            Some((tag, length)) => {
                let body = (self.start + HEADER_BYTES, self.start + length);
                self.start += length;
                Ok(Some(Message { tag, body }))
            }
        }
    }

    /// How many bytes have arrived that are not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// The body of a message, until the next [`fill`](Wire::fill).
    #[inline]
    pub(crate) fn body(&self, message: Message) -> &[u8] {
        &self.buffer[message.body.0..message.body.1]
    }

    /// The whole of a message, its header too, for the parser of control messages.
    pub(crate) fn whole(&self, message: Message) -> &[u8] {
        &self.buffer[message.body.0 - HEADER_BYTES..message.body.1]
    }

    /// Waits for the next message.
    pub(crate) fn next(&mut self, stop: &Stop) -> Result<Message> {
        loop {
            if let Some(message) = self.arrived()? {
                return Ok(message);
            }
            self.fill(stop)?;
        }
    }

    /// Waits until a whole message has arrived, or for so long; tells whether one has.
    pub(crate) fn arrives_before(&mut self, deadline: Instant, stop: &Stop) -> Result<bool> {
        while frame(&self.buffer[self.start..self.end])?.is_none() {
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
            // One message fills the buffer. It grows as the message really arrives, so that a
            // length that is not true reserves nothing.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// Waits for more bytes, and returns how many came.
    pub(crate) fn fill(&mut self, stop: &Stop) -> Result<usize> {
        self.fill_until(None, stop)
    }

    /// Waits for more bytes, until a moment if there is one, and returns how many came.
    fn fill_until(&mut self, until: Option<Instant>, stop: &Stop) -> Result<usize> {
        // Bytes may come without an end, and without a pause.
        stop.check()?;
        self.check_deadline()?;
        self.make_room();
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(closed()),
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        stop.check()?;
                        self.check_deadline()?;
                        if until.is_some_and(|until| Instant::now() >= until) {
                            return Ok(0);
                        }
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

/// Whether an error is that of a server that has not answered in time.
pub(crate) fn is_late(error: &Error) -> bool {
    matches!(error, Error::Connection { message, .. } if message == NO_ANSWER)
}

fn closed() -> Error {
    Error::unreachable("the PostgreSQL server closed the connection in the middle of an answer")
}

fn lost(error: &io::Error) -> Error {
    Error::unreachable(format!(
        "lost the connection to the PostgreSQL server: {error}"
    ))
}

/// Tag and length in front of each message's body.
const HEADER_BYTES: usize = 5;

/// Tag and full length of the message that the bytes begin with, if all of it is there.
#[inline]
fn frame(bytes: &[u8]) -> Result<Option<(u8, usize)>> {
    let Some((&[tag, a, b, c, d], rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    // The length counts itself, but not the tag.
    let announced = i32::from_be_bytes([a, b, c, d]);
    let Ok(body) = usize::try_from(i64::from(announced) - 4) else {
        return Err(Error::connection(format!(
            "the server sent a message of impossible length {announced}; is this PostgreSQL?"
        )));
    };
    Ok((rest.len() >= body).then_some((tag, HEADER_BYTES + body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_seen_only_when_all_of_it_has_arrived() {
        let bytes = b"Z\0\0\0\x05IC";
        for split in 0..6 {
            assert_eq!(frame(&bytes[..split]).expect("no error"), None);
        }
        assert_eq!(frame(&bytes[..6]).expect("no error"), Some((b'Z', 6)));
        assert_eq!(frame(bytes).expect("no error"), Some((b'Z', 6)));
    }

    #[test]
    fn impossible_lengths_are_an_error() {
        for bytes in [b"Z\0\0\0\x03", b"d\xff\xff\xff\xff"] {
            frame(bytes).expect_err("an impossible length");
        }
    }
}
