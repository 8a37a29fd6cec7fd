//! Connects to a server.

use std::time::{Duration, Instant};

use industrydb_core::net::stream::{Destination, Stream};
use industrydb_core::{Result, Stop};
use socket2::TcpKeepalive;

use crate::config::options::Options;

/// Connects without logging in.
pub(crate) fn connect(options: &Options, deadline: Instant, stop: &Stop) -> Result<Stream> {
    let destination = Destination {
        server: "MySQL",
        place: options.address.clone(),
        target: options.address.clone(),
        keepalive: Some(keepalive()),
    };
    Stream::connect(destination, deadline, stop)
}

/// Returns when a silent peer is probed: the systems' own two hours of silence are longer than
/// firewalls remember a connection.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(6)
}
