//! Connects to a server.

use std::time::Instant;

use industrydb_core::net::stream::{Destination, Stream};
use industrydb_core::{Result, Stop};

use crate::config::options::Options;

/// Connects without logging in.
pub(crate) fn connect(options: &Options, deadline: Instant, stop: &Stop) -> Result<Stream> {
    let destination = Destination {
        server: "PostgreSQL",
        place: options.address.clone(),
        target: options.target(),
        keepalive: options.keepalive.clone(),
    };
    Stream::connect(destination, deadline, stop)
}
