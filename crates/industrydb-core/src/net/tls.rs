//! TLS on a stream.

use std::fmt::Display;
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use native_tls::{Certificate, HandshakeError, TlsConnectorBuilder};

use super::stream::{Stream, Yielding};
use crate::base::error::{Error, Result};
use crate::base::file::read_file;
use crate::base::retry::is_of_the_network;
use crate::base::stop::Stop;

/// Turns a TCP stream, whose server has agreed to it, into a TLS one.
///
/// # Errors
///
/// When the handshake fails, or is not done in time, or `stop` was set.
pub fn secured(
    tcp: TcpStream,
    host: &str,
    builder: &TlsConnectorBuilder,
    deadline: Instant,
    stop: &Stop,
) -> Result<Stream> {
    let failed = |error: &dyn Display| {
        Error::connection(format!("the TLS handshake with {host} failed: {error}"))
    };
    let connector = builder.build().map_err(|error| failed(&error))?;
    let mut handshake = connector.connect(host, Yielding::new(tcp));
    loop {
        match handshake {
            Ok(stream) => return Ok(Stream::Tls(Box::new(stream))),
            Err(HandshakeError::WouldBlock(pending)) if Instant::now() < deadline => {
                stop.check()?;
                handshake = pending.handshake();
            }
            Err(HandshakeError::WouldBlock(_)) => {
                return Err(Error::unreachable(format!(
                    "the TLS handshake with {host} failed: no answer in time"
                )));
            }
            Err(HandshakeError::Failure(error)) => {
                let failed = failed(&error);
                return Err(if is_of_the_network(&error) {
                    Error::unreachable(failed.to_string())
                } else {
                    failed
                });
            }
        }
    }
}

/// Has only the certificates of a PEM file trusted. `option` names the file in errors.
///
/// # Errors
///
/// [`Error::Configuration`] if the file cannot be read, or has no certificate.
pub fn trust_only(builder: &mut TlsConnectorBuilder, option: &str, path: &Path) -> Result<()> {
    let read = read_file(path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|pem| Certificate::stack_from_pem(&pem).map_err(|error| error.to_string()));
    let found = parsed.and_then(|certificates| {
        if certificates.is_empty() {
            return Err("it has no certificate in PEM".to_owned());
        }
        Ok(certificates)
    });
    let found = found
        .map_err(|error| Error::configuration(format!("{option} {}: {error}", path.display())))?;
    builder.disable_built_in_roots(true);
    for certificate in found {
        builder.add_root_certificate(certificate);
    }
    Ok(())
}
