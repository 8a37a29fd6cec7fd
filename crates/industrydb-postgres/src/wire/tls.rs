//! TLS, and the channel binding of a login.

use std::path::Path;
use std::time::Instant;

use industrydb_core::retry::is_of_the_network;
use industrydb_core::{Error, Result, Stop};
use native_tls::{Certificate, HandshakeError, Identity, TlsConnector};
use postgres_protocol::authentication::sasl::ChannelBinding;
use postgres_protocol::message::frontend;

use crate::config::address::Address;
use crate::config::client_key;
use crate::config::options::{Binding, Options, SslMode};
use crate::config::settings::{Group, is_open_to_others, read_file};
use crate::wire::Buffer;
use crate::wire::stream::{Stream, Yielding};

/// Turns a TCP stream into a TLS one, as far as `sslmode` asks for it.
pub(crate) fn secured(
    stream: Stream,
    options: &Options,
    deadline: Instant,
    stop: &Stop,
) -> Result<Stream> {
    let (mut tcp, host) = match (stream, &options.address) {
        (Stream::Tcp(tcp), Address::Tcp(host, _)) => (tcp, host),
        (socket, _) => return Ok(socket), // a Unix socket needs no TLS
    };
    if matches!(options.ssl_mode, SslMode::Disable | SslMode::Allow) {
        return Ok(Stream::Tcp(tcp));
    }
    if !server_takes_tls(&mut tcp, deadline, stop)? {
        return match options.ssl_mode {
            SslMode::Prefer => Ok(Stream::Tcp(tcp)),
            _ => Err(Error::connection(
                "sslmode asks for TLS, and the server has none",
            )),
        };
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::connection(format!("the TLS handshake with {host} failed: {error}"))
    };
    let mut builder = TlsConnector::builder();
    if let Some(path) = &options.ssl_root_cert {
        // If an authority is named, no other one is trusted.
        builder.disable_built_in_roots(true);
        for certificate in bundle(path)? {
            builder.add_root_certificate(certificate);
        }
    }
    if let Some((certificate, key)) = &options.ssl_cert {
        builder.identity(
            identity(certificate, key)
                .map_err(|error| Error::configuration(format!("sslcert and sslkey: {error}")))?,
        );
    }
    let connector = builder
        .danger_accept_invalid_certs(!options.verifies())
        .danger_accept_invalid_hostnames(options.ssl_mode != SslMode::VerifyFull)
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
    let read = read_file(path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|pem| Certificate::stack_from_pem(&pem).map_err(|error| error.to_string()));
    let found = parsed.and_then(|certificates| {
        if certificates.is_empty() {
            return Err("it has no certificate in PEM".to_owned());
        }
        Ok(certificates)
    });
    found.map_err(|error| Error::configuration(format!("sslrootcert {}: {error}", path.display())))
}

/// Reads the client's certificate, with the certificates that sign it, and its key.
fn identity(certificate: &Path, key: &Path) -> std::result::Result<Identity, String> {
    let read =
        |path: &Path| read_file(path).map_err(|error| format!("{}: {error}", path.display()));
    let chain = read(certificate)?;
    if is_open_to_others(key, Group::MayReadOfRoot) {
        return Err(format!("{}: others may read it: chmod 0600", key.display()));
    }
    let pem = client_key::pkcs8(&read(key)?).map_err(|why| format!("{}: {why}", key.display()))?;
    Identity::from_pkcs8(&chain, pem.as_bytes()).map_err(|error| error.to_string())
}

fn server_takes_tls(tcp: &mut std::net::TcpStream, deadline: Instant, stop: &Stop) -> Result<bool> {
    use std::io::{ErrorKind, Read, Write};
    let failed = |error: std::io::Error| {
        let why = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer in time".to_owned(),
            _ => error.to_string(),
        };
        Error::unreachable(format!(
            "the server did not answer the request for TLS: {why}; check that PostgreSQL listens at this host and port"
        ))
    };
    let mut request = Buffer::new();
    frontend::ssl_request(&mut request);
    tcp.write_all(&request).map_err(failed)?;
    let mut answer = [0];
    loop {
        match tcp.read_exact(&mut answer) {
            Ok(()) => return Ok(answer == [b'S']),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                    && Instant::now() < deadline =>
            {
                stop.check()?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Returns the channel binding of a login, by the server's certificate, if there is TLS.
pub(crate) fn channel_binding(stream: &Stream, wanted: Binding) -> Option<ChannelBinding> {
    match stream {
        Stream::Tls(tls) if wanted != Binding::Disable => tls
            .tls_server_end_point()
            .ok()
            .flatten()
            .map(ChannelBinding::tls_server_end_point),
        _ => None,
    }
}
