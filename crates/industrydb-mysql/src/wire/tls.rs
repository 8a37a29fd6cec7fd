//! TLS.

use std::path::Path;
use std::time::Instant;

use industrydb_core::file::read_file;
use industrydb_core::net::address::Address;
use industrydb_core::net::stream::Stream;
use industrydb_core::net::tls::{self, Check, Settings};
use industrydb_core::{Error, Result, Stop};

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
    let mut settings = Settings::new(match options.ssl_mode {
        SslMode::Disabled | SslMode::Preferred | SslMode::Required => Check::Nothing,
        SslMode::VerifyCa => Check::Authority,
        SslMode::VerifyIdentity => Check::Host,
    });
    if let Some(path) = &options.ssl_ca {
        settings.trust_only("ssl-ca", path)?;
    }
    if let Some((certificate, key)) = &options.ssl_cert {
        identify(&mut settings, certificate, key)?;
    }
    tls::secured(tcp, host, settings, deadline, stop)
}

/// Names the client by its certificate, with the certificates that sign it, and its key.
fn identify(settings: &mut Settings, certificate: &Path, key: &Path) -> Result<()> {
    let read = |path: &Path| {
        read_file(path).map_err(|error| {
            Error::configuration(format!("ssl-cert and ssl-key: {}: {error}", path.display()))
        })
    };
    settings.identify(read(certificate)?, read(key)?).map_err(|error| {
        Error::configuration(format!(
            "ssl-cert and ssl-key: {error}; the key must be in PKCS #8, as `openssl pkcs8 -topk8 -nocrypt` writes it"
        ))
    })
}
