//! The login: the server's greeting, TLS, and the exchange that proves the password.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use industrydb_core::file::read_file;
use industrydb_core::{Error, Result, Stop};
use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin, Context};
use mysql_common::constants::{CapabilityFlags, MariadbCapabilities};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, HandshakePacket, HandshakeResponse, SslRequest};
use mysql_common::proto::{MyDeserialize, MySerialize};

use crate::config::options::{Options, SslMode};
use crate::wire::errors::{Report, unexpected};
use crate::wire::packet::{ERROR, OK};
use crate::wire::socket::Wire;
use crate::wire::tls::secured;

/// Largest packet that the client accepts: as long as the protocol's values may be.
const MAX_PACKET: u32 = 1 << 30;

/// `utf8mb4_general_ci`, which servers of all versions have.
const COLLATION: u8 = 45;

/// First byte of a packet that asks for another way to log in.
const SWITCH: u8 = 0xfe;
/// First byte of a packet with more data for the exchange.
const MORE: u8 = 0x01;

/// What the server has told of itself during the login.
#[derive(Debug, Clone, Default)]
pub(crate) struct Greeting {
    pub(crate) connection_id: u32,
    /// Version, such as `10.11.6-MariaDB`.
    pub(crate) version: String,
    /// Whether the rows of a result end with an OK packet, without an EOF packet before.
    pub(crate) deprecates_eof: bool,
    /// Whether descriptions of columns have the names of MariaDB's own types.
    pub(crate) is_extended: bool,
    /// Whether all bytes behind the login are compressed.
    pub(crate) is_compressed: bool,
}

/// Logs in; `wire` has TLS afterwards if the options and the server agree on it.
pub(crate) fn log_in(
    wire: &mut Wire,
    options: &Options,
    deadline: Instant,
    stop: &Stop,
) -> Result<Greeting> {
    let packet = wire.next(stop)?;
    let greeting = handshake(wire.body(packet))?;
    let capabilities = capabilities(&greeting, options, wire.is_unix())?;
    let is_mariadb = !greeting
        .capabilities()
        .contains(CapabilityFlags::CLIENT_LONG_PASSWORD);
    let extended = if is_mariadb {
        greeting.mariadb_ext_capabilities() & MariadbCapabilities::MARIADB_CLIENT_EXTENDED_METADATA
    } else {
        MariadbCapabilities::empty()
    };
    if capabilities.contains(CapabilityFlags::CLIENT_SSL) {
        let request = SslRequest::new(capabilities, MAX_PACKET, COLLATION)
            .with_mariadb_capabilities(extended);
        wire.send(&serialized(&request), stop)?;
        wire.replace(|stream| secured(stream, options, deadline, stop))?;
    }
    let key = match &options.public_key {
        Some(path) => Some(read_file(path).map_err(|error| {
            Error::configuration(format!(
                "server-public-key-path {}: {error}",
                path.display()
            ))
        })?),
        None => None,
    };
    let password = match &options.password {
        Some(password) => password.reveal(stop)?,
        None => "".into(),
    };
    let mut exchange = Exchange {
        password: password.as_bytes(),
        key,
        asks_for_key: options.asks_for_key,
        is_secret: wire.is_tls() || wire.is_unix(),
        is_unix: wire.is_unix(),
        nonce: greeting.nonce(),
        plugin: AuthPlugin::MysqlNativePassword,
        proof: None,
    };
    let first = exchange.begin(first_way(&greeting))?;
    let response = HandshakeResponse::new(
        first,
        (8, 0, 0),
        Some(options.user.as_bytes()),
        options.database.as_deref().map(str::as_bytes),
        Some(exchange.plugin.borrow()),
        capabilities,
        Some(attributes()),
        MAX_PACKET,
    )
    .with_mariadb_ext_capabilities(extended);
    let bytes = serialized(&response);
    let told = Greeting {
        connection_id: greeting.connection_id(),
        version: version(&greeting.server_version_str()),
        deprecates_eof: capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF),
        is_extended: !extended.is_empty(),
        is_compressed: capabilities.contains(CapabilityFlags::CLIENT_COMPRESS),
    };
    wire.send(&bytes, stop)?;
    loop {
        let packet = wire.next(stop)?;
        match exchange.step(wire.body(packet))? {
            Step::Done => return Ok(told),
            Step::Send(answer) => wire.send(&answer, stop)?,
            Step::Wait => {}
        }
    }
}

/// Parses the server's greeting, or the error in its place.
fn handshake(body: &[u8]) -> Result<HandshakePacket<'static>> {
    if body.first() == Some(&ERROR) {
        return Err(Report::new(body)?.login_error());
    }
    let malformed = || unexpected("the greeting of a MySQL server");
    // The parser overflows for lengths that no server has.
    let version_end = body
        .iter()
        .position(|byte| *byte == 0)
        .ok_or_else(malformed)?;
    let length = body.get(version_end + 21).ok_or_else(malformed)?;
    if body.first() != Some(&10) || *length > 100 {
        return Err(malformed());
    }
    let parsed = HandshakePacket::deserialize((), &mut ParseBuf(body));
    let greeting = parsed.map_err(|_| malformed())?.into_owned();
    let needed = CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_PLUGIN_AUTH;
    if !greeting.capabilities().contains(needed) {
        return Err(Error::connection(
            "the server is older than MySQL 5.7 and MariaDB 10, whose logins it does not have",
        ));
    }
    Ok(greeting)
}

/// Returns the capabilities of the session: what both sides have. MariaDB reads its own extensions
/// from a client that does not name itself MySQL's by `CLIENT_LONG_PASSWORD`.
fn capabilities(
    greeting: &HandshakePacket,
    options: &Options,
    is_unix: bool,
) -> Result<CapabilityFlags> {
    type Flags = CapabilityFlags;
    let told = greeting.capabilities();
    let wanted = Flags::CLIENT_LONG_PASSWORD
        | Flags::CLIENT_LONG_FLAG
        | Flags::CLIENT_FOUND_ROWS
        | Flags::CLIENT_LOCAL_FILES
        | Flags::CLIENT_PROTOCOL_41
        | Flags::CLIENT_TRANSACTIONS
        | Flags::CLIENT_SECURE_CONNECTION
        | Flags::CLIENT_MULTI_RESULTS
        | Flags::CLIENT_PS_MULTI_RESULTS
        | Flags::CLIENT_PLUGIN_AUTH
        | Flags::CLIENT_CONNECT_ATTRS
        | Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
        | Flags::CLIENT_DEPRECATE_EOF;
    let ssl = if is_unix || options.ssl_mode == SslMode::Disabled {
        Flags::empty() // nobody else reads a Unix socket
    } else if options.ssl_mode > SslMode::Preferred && !told.contains(Flags::CLIENT_SSL) {
        return Err(Error::connection(
            "ssl-mode asks for TLS, and the server has none",
        ));
    } else {
        Flags::CLIENT_SSL
    };
    let compress = if !options.is_compressed {
        Flags::empty()
    } else if told.contains(Flags::CLIENT_COMPRESS) {
        Flags::CLIENT_COMPRESS
    } else {
        return Err(Error::connection(
            "compress=zlib asks for compression, and the server has none",
        ));
    };
    let database = match options.database {
        Some(_) => Flags::CLIENT_CONNECT_WITH_DB,
        None => Flags::empty(),
    };
    Ok(told & (wanted | ssl | compress | database))
}

/// Returns what the server's list of sessions shows of this one.
fn attributes() -> std::collections::HashMap<String, String> {
    let shown = [
        ("_client_name", "industrydb"),
        ("_client_version", env!("CARGO_PKG_VERSION")),
        ("program_name", "industrydb"),
    ];
    shown
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Returns the version without the one that MariaDB puts in front for old replicas.
fn version(told: &str) -> String {
    told.strip_prefix("5.5.5-").unwrap_or(told).to_owned()
}

fn serialized(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

/// Returns the way that a login begins with: the greeting's, or one for which the greeting has a
/// nonce. The server asks for another way if the account does not have this one.
fn first_way(greeting: &HandshakePacket) -> AuthPlugin<'static> {
    greeting
        .auth_plugin()
        .map(AuthPlugin::into_owned)
        .filter(|plugin| is_known(plugin) && !has_own_nonce(plugin))
        .unwrap_or(AuthPlugin::MysqlNativePassword)
}

/// Returns whether a way to log in neither sends the password in the clear nor is unknown.
fn is_known(plugin: &AuthPlugin) -> bool {
    matches!(
        plugin,
        AuthPlugin::MysqlNativePassword
            | AuthPlugin::CachingSha2Password
            | AuthPlugin::Sha256Password
            | AuthPlugin::Ed25519
            | AuthPlugin::Parsec
    )
}

/// Returns whether a way to log in has a nonce of 32 bytes of any value, as MariaDB's own have; that of
/// the greeting and of the others is shorter, and ends with a zero.
fn has_own_nonce(plugin: &AuthPlugin) -> bool {
    matches!(plugin, AuthPlugin::Ed25519 | AuthPlugin::Parsec)
}

/// The exchange that proves the password.
struct Exchange<'a> {
    password: &'a [u8],
    /// The server's public key, if a file has it.
    key: Option<Vec<u8>>,
    asks_for_key: bool,
    /// Whether nobody else can read what is sent.
    is_secret: bool,
    is_unix: bool,
    nonce: Vec<u8>,
    plugin: AuthPlugin<'static>,
    proof: Option<AuthProc>,
}

/// What follows a packet of the server.
enum Step {
    Done,
    Send(Vec<u8>),
    Wait,
}

impl Exchange<'_> {
    /// Takes the server's next packet.
    fn step(&mut self, body: &[u8]) -> Result<Step> {
        let answer = match body {
            [OK, ..] => return Ok(Step::Done),
            [ERROR, ..] => return Err(Report::new(body)?.login_error()),
            [SWITCH, rest @ ..] => self.switch(rest)?,
            [MORE, rest @ ..] => self.go_on(rest)?,
            // MariaDB sends what an account's login adds as it is.
            [b'P', ..] if matches!(self.plugin, AuthPlugin::Parsec) => self.go_on(body)?,
            _ => return Err(unexpected("an answer to the login")),
        };
        Ok(answer.map_or(Step::Wait, Step::Send))
    }

    fn begin(&mut self, plugin: AuthPlugin<'static>) -> Result<Option<Vec<u8>>> {
        let proof = plugin.init();
        self.proof = Some(proof.map_err(|error| Error::connection(error.to_string()))?);
        self.plugin = plugin;
        let nonce = self.nonce.clone();
        self.go_on(&nonce)
    }

    /// Answers a request for another way to log in.
    fn switch(&mut self, request: &[u8]) -> Result<Option<Vec<u8>>> {
        let end = request.iter().position(|byte| *byte == 0);
        let (name, data) = request.split_at(end.unwrap_or(request.len()));
        let plugin = AuthPlugin::from_bytes(name).into_owned();
        if !is_known(&plugin) {
            let name = if name.is_empty() {
                "mysql_old_password".into()
            } else {
                String::from_utf8_lossy(name)
            };
            return Err(Error::connection(format!(
                "the server asks for a login by {name:?}, which is not supported: give the account \
                 caching_sha2_password, ed25519 or mysql_native_password"
            )));
        }
        let data = data.strip_prefix(b"\0").unwrap_or(data);
        let nonce = if has_own_nonce(&plugin) {
            data
        } else {
            data.strip_suffix(b"\0").unwrap_or(data)
        };
        self.nonce = nonce.to_vec();
        self.begin(plugin)
    }

    /// Answers the next packet of the exchange.
    fn go_on(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(mut proof) = self.proof.take() else {
            return Err(unexpected("an answer to the login"));
        };
        // A false key of the server may be none with which the library can count.
        let answer = catch_unwind(AssertUnwindSafe(|| proof.run(&*self, challenge)));
        let failed =
            |why: String| Error::connection(format!("the login by {} failed: {why}", self.name()));
        let answer = answer.map_err(|_| failed("the server's key is none".to_owned()))?;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        self.proof = Some(proof);
        let answer = answer.data().map(<[u8]>::to_vec);
        if self.is_request_for_key(answer.as_deref()) && !self.asks_for_key {
            return Err(Error::connection(format!(
                "the login by {} needs TLS, or the server's public key to encrypt the password: pass \
                 ssl-mode=required, or server-public-key-path; get-server-public-key=true asks the server for its key, \
                 which somebody in between may replace by their own",
                self.name()
            )));
        }
        Ok(answer)
    }

    /// Returns whether an answer asks the server for its public key in the clear.
    fn is_request_for_key(&self, answer: Option<&[u8]>) -> bool {
        let request: &[u8] = match self.plugin {
            AuthPlugin::CachingSha2Password => b"\x02",
            AuthPlugin::Sha256Password => b"\x01",
            _ => return false,
        };
        answer == Some(request)
    }

    fn name(&self) -> String {
        String::from_utf8_lossy(self.plugin.as_bytes()).into_owned()
    }
}

impl Context for &Exchange<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        self.is_unix
    }

    fn is_tls_transport(&self) -> bool {
        self.is_secret
    }

    fn scramble(&self) -> &[u8] {
        &self.nonce
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }
}

/// Logs in to a server that sends any packets: the fuzzer's. As over TLS, no password is encrypted by a
/// key of the server: a panic of the library about a false key is caught, but would end the fuzzer.
#[cfg(any(fuzzing, test))]
pub(crate) fn any_login(packets: &[&[u8]]) {
    let Some((greeting, packets)) = packets.split_first() else {
        return;
    };
    let Ok(greeting) = handshake(greeting) else {
        return;
    };
    let mut exchange = Exchange {
        password: b"password",
        key: None,
        asks_for_key: true,
        is_secret: true,
        is_unix: false,
        nonce: greeting.nonce(),
        plugin: AuthPlugin::MysqlNativePassword,
        proof: None,
    };
    if exchange.begin(first_way(&greeting)).is_err() {
        return;
    }
    for packet in packets {
        if !matches!(exchange.step(packet), Ok(Step::Send(_) | Step::Wait)) {
            return;
        }
    }
}
