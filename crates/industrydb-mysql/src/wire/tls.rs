//! TLS.

use std::path::Path;
use std::time::Instant;

use industrydb_core::retry::is_of_the_network;
use industrydb_core::{Error, Result, Stop};
use native_tls::{Certificate, HandshakeError, Identity, TlsConnector};

use crate::config::address::Address;
use crate::config::options::{Options, SslMode};
use crate::wire::stream::{Stream, Yielding};

/// Turns a TCP stream, whose server has agreed to it, into a TLS one.
pub(crate) fn secured(
    stream: Stream,
    options: &Options,
    deadline: Instant,
    stop: &Stop,
) -> Result<Stream> {
    let (tcp, host) = match (stream, &options.address) {
        (Stream::Tcp(tcp), Address::Tcp(host, _)) => (tcp, host),
        (socket, _) => return Ok(socket), // a Unix socket needs no TLS
    };
    let failed = |error: &dyn std::fmt::Display| {
        Error::connection(format!("the TLS handshake with {host} failed: {error}"))
    };
    let mut builder = TlsConnector::builder();
    if let Some(path) = &options.ssl_ca {
        // If an authority is named, no other one is trusted.
        builder.disable_built_in_roots(true);
        for certificate in bundle(path)? {
            builder.add_root_certificate(certificate);
        }
    }
    if let Some((certificate, key)) = &options.ssl_cert {
        builder.identity(identity(certificate, key)?);
    }
    let connector = builder
        .danger_accept_invalid_certs(options.ssl_mode < SslMode::VerifyCa)
        .danger_accept_invalid_hostnames(options.ssl_mode != SslMode::VerifyIdentity)
        .build()
        .map_err(|error| failed(&error))?;
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

/// Reads all certificates of a PEM file.
fn bundle(path: &Path) -> Result<Vec<Certificate>> {
    let read = std::fs::read(path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|pem| Certificate::stack_from_pem(&pem).map_err(|error| error.to_string()));
    let found = parsed.and_then(|certificates| {
        if certificates.is_empty() {
            return Err("it has no certificate in PEM".to_owned());
        }
        Ok(certificates)
    });
    found.map_err(|error| Error::configuration(format!("ssl-ca {}: {error}", path.display())))
}

/// Reads the client's certificate, with the certificates that sign it, and its key.
fn identity(certificate: &Path, key: &Path) -> Result<Identity> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            Error::configuration(format!("ssl-cert and ssl-key: {}: {error}", path.display()))
        })
    };
    Identity::from_pkcs8(&read(certificate)?, &read(key)?).map_err(|error| {
        Error::configuration(format!(
            "ssl-cert and ssl-key: {error}; the key must be in PKCS #8, as `openssl pkcs8 -topk8 -nocrypt` writes it"
        ))
    })
}
