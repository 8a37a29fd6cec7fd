//! TLS on a stream.

use std::fmt::Display;
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use native_tls::{Certificate, HandshakeError, Identity, TlsConnector, TlsConnectorBuilder};

use super::stream::{Stream, Yielding};
use crate::base::error::{Error, Result};
use crate::base::file::read_file;
use crate::base::retry::is_of_the_network;
use crate::base::stop::Stop;

/// What is verified of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing: TLS only encrypts.
    Nothing,
    /// Its certificate is signed by an authority.
    Authority,
    /// The same, and the certificate is the host's.
    Host,
}

/// What a session's TLS verifies, and by what it names itself.
pub struct Settings {
    builder: TlsConnectorBuilder,
    key: Key,
}

/// What is different between connectors: files by their bytes, because a file may be replaced.
#[derive(PartialEq, Eq)]
struct Key {
    check: Check,
    authorities: Option<Authorities>,
    /// The client's certificate and its key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Certificates of authorities in PEM, and how errors name them: their option and file.
#[derive(PartialEq, Eq)]
struct Authorities {
    pem: Vec<u8>,
    name: String,
}

impl Settings {
    /// Trusts the system's authorities.
    pub fn new(check: Check) -> Self {
        let mut builder = TlsConnector::builder();
        builder
            .danger_accept_invalid_certs(check == Check::Nothing)
            .danger_accept_invalid_hostnames(check != Check::Host)
            .disable_built_in_roots(check == Check::Nothing);
        let key = Key {
            check,
            authorities: None,
            identity: None,
        };
        Self { builder, key }
    }

    /// Trusts the certificates of a PEM file, and no others. `option` names the file in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if the file cannot be read.
    pub fn trust_only(&mut self, option: &str, path: &Path) -> Result<()> {
        let name = format!("{option} {}", path.display());
        let pem = read_file(path).map_err(|why| Error::configuration(format!("{name}: {why}")))?;
        self.key.authorities = Some(Authorities { pem, name });
        Ok(())
    }

    /// Names the client by a certificate, with those that sign it, and its key in PKCS #8.
    ///
    /// # Errors
    ///
    /// When either is not in the right format.
    pub fn identify(&mut self, chain: Vec<u8>, key: Vec<u8>) -> native_tls::Result<()> {
        self.builder.identity(Identity::from_pkcs8(&chain, &key)?);
        self.key.identity = Some((chain, key));
        Ok(())
    }
}

impl Authorities {
    fn certificates(&self) -> Result<Vec<Certificate>> {
        let failed = |why: &dyn Display| Error::configuration(format!("{}: {why}", self.name));
        let found = Certificate::stack_from_pem(&self.pem).map_err(|error| failed(&error))?;
        if found.is_empty() {
            return Err(failed(&"it has no certificate in PEM"));
        }
        Ok(found)
    }
}

/// Number of connectors that a process keeps.
const KEPT: usize = 16;

/// The connectors of this process, the least recently used first. Building one loads the
/// authorities, which takes as long as many a session.
static CONNECTORS: Mutex<Connectors> = Mutex::new(Connectors(Vec::new()));

struct Connectors(Vec<(Key, TlsConnector)>);

impl Connectors {
    /// Returns the connector with this key, which is built at the first call.
    fn get(
        &mut self,
        key: Key,
        make: impl FnOnce(&Key) -> Result<TlsConnector>,
    ) -> Result<TlsConnector> {
        let known = self.0.iter().position(|(other, _)| *other == key);
        let entry = if let Some(place) = known {
            self.0.remove(place)
        } else {
            let connector = make(&key)?;
            (key, connector)
        };
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        let connector = entry.1.clone();
        self.0.push(entry);
        Ok(connector)
    }
}

/// Turns a TCP stream, whose server has agreed to it, into a TLS one.
///
/// # Errors
///
/// When the handshake fails, or is not done in time, or `stop` was set.
pub fn secured(
    tcp: TcpStream,
    host: &str,
    settings: Settings,
    deadline: Instant,
    stop: &Stop,
) -> Result<Stream> {
    let failed = |error: &dyn Display| {
        Error::connection(format!("the TLS handshake with {host} failed: {error}"))
    };
    let Settings { mut builder, key } = settings;
    let make = |key: &Key| {
        if let Some(authorities) = &key.authorities {
            builder.disable_built_in_roots(true);
            for certificate in authorities.certificates()? {
                builder.add_root_certificate(certificate);
            }
        }
        builder.build().map_err(|error| failed(&error))
    };
    let connector = CONNECTORS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(key, make)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn get(kept: &mut Connectors, check: Check, pem: &[u8]) {
        let mut key = Settings::new(check).key;
        key.authorities = Some(Authorities {
            pem: pem.to_vec(),
            name: String::new(),
        });
        let make = |_: &Key| Ok(TlsConnector::new().expect("a connector"));
        kept.get(key, make).expect("a connector");
    }

    #[test]
    fn equal_settings_share_a_connector_and_few_are_kept() {
        let mut kept = Connectors(Vec::new());
        for (check, authorities) in [
            (Check::Host, b"a"),
            (Check::Host, b"a"),
            (Check::Authority, b"a"),
            (Check::Host, b"b"),
            (Check::Host, b"a"),
        ] {
            get(&mut kept, check, authorities);
        }
        let shown: Vec<_> = kept
            .0
            .iter()
            .map(|(key, _)| {
                let pem = key.authorities.as_ref().map(|found| &found.pem[..]);
                (key.check, pem)
            })
            .collect();
        let expected = [
            (Check::Authority, Some(&b"a"[..])),
            (Check::Host, Some(b"b")),
            (Check::Host, Some(b"a")),
        ];
        assert_eq!(shown, expected);
        for number in 0..2 * KEPT {
            get(&mut kept, Check::Nothing, &number.to_le_bytes());
        }
        assert_eq!(kept.0.len(), KEPT);
    }
}
