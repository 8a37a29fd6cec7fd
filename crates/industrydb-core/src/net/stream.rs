//! Streams of bytes to a server: TCP, a Unix socket, or TLS.

use std::io::{self, Read, Write};
#[cfg(unix)]
use std::mem::MaybeUninit;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use native_tls::TlsStream;
use socket2::{SockRef, TcpKeepalive};

use super::address::Address;
use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::base::suggest::advice;

/// How long a read waits for the server before it checks whether the work is to stop.
const POLL: Duration = Duration::from_millis(100);

/// How long a write waits before the server's messages are read: the server may wait for that.
const WRITE_POLL: Duration = Duration::from_millis(2);

/// A connection to the server: TCP, a Unix socket, or TLS.
pub enum Stream {
    /// TCP without TLS.
    Tcp(TcpStream),
    /// Unix socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<Yielding>>),
}

/// Where to connect, and how messages name that place.
pub struct Destination {
    /// Name of the kind of server, for messages.
    pub server: &'static str,
    /// Place that messages show.
    pub place: Address,
    /// Address to connect to, which may be that of the place's host.
    pub target: Address,
    /// When a silent peer is probed; `None` for never.
    pub keepalive: Option<TcpKeepalive>,
}

impl Stream {
    /// Connects without logging in, in a separate thread. That thread is abandoned when the work is
    /// to stop, since neither a name lookup nor an attempt to connect can be interrupted.
    ///
    /// # Errors
    ///
    /// When nobody answers in time, or `stop` was set.
    pub fn connect(destination: Destination, deadline: Instant, stop: &Stop) -> Result<Self> {
        let Destination {
            server,
            place,
            target,
            keepalive,
        } = destination;
        let failed = |error: io::Error| {
            let error_text = error.to_string();
            let message = format!(
                "cannot connect to the {server} server at {place}: {error_text}{}",
                advice(&error_text)
            );
            match error.kind() {
                io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Unsupported => Error::connection(message),
                _ => Error::unreachable(message),
            }
        };
        let (sender, receiver) = mpsc::channel();
        let attempt = move || {
            // The receiver may be gone.
            let _ = sender.send(connected(&target, keepalive.as_ref(), deadline));
        };
        thread::Builder::new().spawn(attempt).map_err(failed)?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(POLL.min(left)) {
                Ok(stream) => return stream.map_err(failed),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => stop.check()?,
                Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
            }
        }
    }
}

/// Tries each address of the host's name, and divides the time among them.
fn connected(
    address: &Address,
    keepalive: Option<&TcpKeepalive>,
    deadline: Instant,
) -> io::Result<Stream> {
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
    let mut last_error = io::Error::other("the name stands for no address");
    let mut untried = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let share = left / untried.max(1);
        untried = untried.saturating_sub(1);
        match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                if let Some(keepalive) = keepalive {
                    SockRef::from(&stream).set_tcp_keepalive(keepalive)?;
                }
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
    /// Sets whether reads and writes return at once, as of the standard library's streams.
    ///
    /// # Errors
    ///
    /// When the operating system refuses it.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_nonblocking(nonblocking),
            Self::Tls(stream) => stream.get_ref().0.set_nonblocking(nonblocking),
        }
    }
}

/// The TCP stream below TLS. OpenSSL keeps reading until it has a whole record, which a server may
/// send byte by byte. So after a read that gets less than it asks for, the next one reports once
/// that nothing has arrived, and the caller can check whether to stop.
pub struct Yielding(TcpStream, bool);

impl Yielding {
    /// Creates the stream.
    pub fn new(stream: TcpStream) -> Self {
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

impl Stream {
    /// Returns whether the server will send nothing more, without taking any of what it has sent: a
    /// server that ends a session may leave its socket open for minutes, and take nothing.
    #[cfg(unix)]
    pub fn has_ended(&self) -> bool {
        let socket = match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
            Self::Tls(stream) => SockRef::from(&stream.get_ref().0),
        };
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let seen = socket.recv_with_flags(&mut [MaybeUninit::uninit()], flags);
        matches!(seen, Ok(0))
    }

    /// Returns `false`: other systems end the wait by themselves.
    #[cfg(not(unix))]
    pub fn has_ended(&self) -> bool {
        false
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
