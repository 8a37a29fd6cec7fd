//! TLS.

use std::path::Path;
use std::time::Instant;

use industrydb_core::file::read_file;
use industrydb_core::net::address::Address;
use industrydb_core::net::stream::Stream;
use industrydb_core::net::tls;
use industrydb_core::{Error, Result, Stop};
use native_tls::{Identity, TlsConnector};

use crate::config::options::{Options, SslMode};

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
    let mut builder = TlsConnector::builder();
    if let Some(path) = &options.ssl_ca {
        tls::trust_only(&mut builder, "ssl-ca", path)?;
    }
    if let Some((certificate, key)) = &options.ssl_cert {
        builder.identity(identity(certificate, key)?);
    }
    builder
        .danger_accept_invalid_certs(options.ssl_mode < SslMode::VerifyCa)
        .danger_accept_invalid_hostnames(options.ssl_mode != SslMode::VerifyIdentity);
    tls::secured(tcp, host, &builder, deadline, stop)
}

/// Reads the client's certificate, with the certificates that sign it, and its key.
fn identity(certificate: &Path, key: &Path) -> Result<Identity> {
    let read = |path: &Path| {
        read_file(path).map_err(|error| {
            Error::configuration(format!("ssl-cert and ssl-key: {}: {error}", path.display()))
        })
    };
    Identity::from_pkcs8(&read(certificate)?, &read(key)?).map_err(|error| {
        Error::configuration(format!(
            "ssl-cert and ssl-key: {error}; the key must be in PKCS #8, as `openssl pkcs8 -topk8 -nocrypt` writes it"
        ))
    })
}
