//! TLS, and the channel binding of a login.

use std::path::Path;
use std::time::Instant;

use industrydb_core::file::read_file;
use industrydb_core::net::address::Address;
use industrydb_core::net::stream::Stream;
use industrydb_core::net::tls::{self, Check, Settings};
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::authentication::sasl::ChannelBinding;
use postgres_protocol::message::frontend;

use crate::config::client_key;
use crate::config::options::{Binding, Options, SslMode};
use crate::config::settings::{Group, is_open_to_others};
use crate::wire::Buffer;

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
    let mut settings = Settings::new(match options.ssl_mode {
        SslMode::VerifyFull => Check::Host,
        _ if options.verifies() => Check::Authority,
        _ => Check::Nothing,
    });
    if let Some(path) = &options.ssl_root_cert {
        settings.trust_only("sslrootcert", path)?;
    }
    if let Some((certificate, key)) = &options.ssl_cert {
        identify(&mut settings, certificate, key)
            .map_err(|error| Error::configuration(format!("sslcert and sslkey: {error}")))?;
    }
    tls::secured(tcp, host, settings, deadline, stop)
}

/// Names the client by its certificate, with the certificates that sign it, and its key.
fn identify(
    settings: &mut Settings,
    certificate: &Path,
    key: &Path,
) -> std::result::Result<(), String> {
    let read =
        |path: &Path| read_file(path).map_err(|error| format!("{}: {error}", path.display()));
    let chain = read(certificate)?;
    if is_open_to_others(key, Group::MayReadOfRoot) {
        return Err(format!("{}: others may read it: chmod 0600", key.display()));
    }
    let pem = client_key::pkcs8(&read(key)?).map_err(|why| format!("{}: {why}", key.display()))?;
    settings
        .identify(chain, pem.into_bytes())
        .map_err(|error| error.to_string())
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
