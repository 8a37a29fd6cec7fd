//! Options of a connection, from the parts of its URI.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use industrydb_core::config::Scheme;
use industrydb_core::retry::retries;
use industrydb_core::{DatabaseConfig, Error, Result, Secret, Stop};
use mssql_tds::connection::client_context::{ClientContext, TdsAuthenticationMethod};
use mssql_tds::core::{EncryptionOptions, EncryptionSetting};

/// Default port, for a server without an instance name.
const DEFAULT_PORT: u16 = 1433;

/// URI scheme of SQL Server, and its synonym.
pub(crate) const SCHEME: Scheme = Scheme {
    name: "mssql",
    synonyms: &["sqlserver"],
    is_file: false,
};

/// Default of `connect_timeout` in seconds, a limit on connecting and logging in together.
const DEFAULT_CONNECT_TIMEOUT: u32 = 10;

/// Packet size in bytes: the protocol's maximum, since fewer packets take fewer reads.
const PACKET_BYTES: u16 = 32_767;

/// Names of the options that a URI may have.
const KNOWN: [&str; 10] = [
    "application_name",
    "authentication",
    "connect_retries",
    "connect_timeout",
    "encrypt",
    "host_name_in_certificate",
    "instance",
    "server_certificate",
    "trust_server_certificate",
    "trusted_connection",
];

/// How a session authenticates.
#[derive(Debug, Clone)]
enum Login {
    Password {
        user: String,
        password: Secret,
    },
    /// Authentication by the process's Kerberos ticket, or on Windows by its user.
    Integrated,
    /// Authentication by an Entra ID access token, given in place of the password.
    AccessToken(Secret),
}

/// Options of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    host: String,
    port: Option<u16>,
    instance: Option<String>,
    login: Login,
    database: String,
    application_name: String,
    connect_timeout: u32,
    pub(crate) connect_retries: u32,
    encryption: EncryptionSetting,
    trust_server_certificate: bool,
    host_name_in_certificate: Option<String>,
    server_certificate: Option<PathBuf>,
}

impl Options {
    /// Refuses options that SQL Server does not have.
    pub(crate) fn check_names(config: &DatabaseConfig) -> Result<()> {
        config.reject_unknown_options("SQL Server", &KNOWN)
    }

    /// Reads the options, and refuses those that contradict each other.
    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        Self::check_names(config)?;
        let option = |name: &str| config.options.get(name).cloned();
        let connect_timeout = match option("connect_timeout") {
            None => DEFAULT_CONNECT_TIMEOUT,
            Some(seconds) => seconds.parse().ok().filter(|s| *s > 0).ok_or_else(|| {
                Error::configuration(format!(
                    "connect_timeout must be a number of seconds from 1, not {seconds:?}"
                ))
            })?,
        };
        let encryption = match option("encrypt").as_deref() {
            None | Some("true") => EncryptionSetting::Required,
            Some("false") => EncryptionSetting::PreferOff,
            Some("strict") => EncryptionSetting::Strict,
            Some(other) => {
                return Err(Error::configuration(format!(
                    "encrypt must be true, false or strict, not {other:?}"
                )));
            }
        };
        let is_true = |name: &str| match option(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::configuration(format!(
                "{name} must be true or false, not {other:?}"
            ))),
        };
        let trust_server_certificate = is_true("trust_server_certificate")?;
        let login = login(config, is_true("trusted_connection")?)?;
        if matches!(login, Login::AccessToken(_)) && encryption == EncryptionSetting::PreferOff {
            return Err(Error::configuration(
                "an access token is not sent without encryption: leave encrypt=false out",
            ));
        }
        let server_certificate = option("server_certificate").map(PathBuf::from);
        let host_name_in_certificate = option("host_name_in_certificate");
        if let Some(path) = &server_certificate {
            if encryption == EncryptionSetting::PreferOff || host_name_in_certificate.is_some() {
                return Err(Error::configuration(
                    "server_certificate goes neither with encrypt=false nor with host_name_in_certificate: the \
                     server must have this very certificate",
                ));
            }
            check_certificate(path)?;
        }
        Ok(Self {
            host: config
                .host
                .clone()
                .unwrap_or_else(|| "localhost".to_owned()),
            port: config.port,
            instance: option("instance"),
            login,
            database: config.database.clone().unwrap_or_default(),
            application_name: option("application_name").unwrap_or_else(|| "industrydb".to_owned()),
            connect_timeout,
            connect_retries: retries(config)?,
            encryption,
            trust_server_certificate,
            host_name_in_certificate,
            server_certificate,
        })
    }

    /// Returns the host with its instance or port, for messages.
    pub(crate) fn server(&self) -> String {
        match (&self.instance, self.port) {
            (Some(instance), None) => format!("{}\\{instance}", self.host),
            (_, port) => format!("{}:{}", self.host, port.unwrap_or(DEFAULT_PORT)),
        }
    }

    /// Returns the time limit for opening a session.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.connect_timeout.into())
    }

    /// Returns the data source in the driver's notation.
    pub(crate) fn data_source(&self) -> String {
        match (&self.instance, self.port) {
            // The SQL Server Browser service provides the port of a named instance.
            (Some(instance), None) => format!("tcp:{}\\{instance}", self.host),
            (_, port) => format!("tcp:{},{}", self.host, port.unwrap_or(DEFAULT_PORT)),
        }
    }

    /// Returns the login parameters for the driver.
    pub(crate) fn context(&self, stop: &Stop) -> Result<ClientContext> {
        let mut context = ClientContext::with_data_source(&self.data_source());
        match &self.login {
            Login::Password { user, password } => {
                context.user_name.clone_from(user);
                context.password = password.reveal(stop)?.into_owned();
            }
            Login::Integrated => {
                context.tds_authentication_method = TdsAuthenticationMethod::SSPI;
            }
            Login::AccessToken(token) => {
                context.tds_authentication_method = TdsAuthenticationMethod::AccessToken;
                context.access_token = Some(token.reveal(stop)?.into_owned());
            }
        }
        context.database.clone_from(&self.database);
        context.application_name.clone_from(&self.application_name);
        context.connect_timeout = self.connect_timeout;
        context.login_timeout = Some(self.connect_timeout);
        context.connect_retry_count = 0; // a broken session must fail, not reconnect silently
        context.packet_size = PACKET_BYTES;
        context.encryption_options = EncryptionOptions {
            mode: self.encryption,
            trust_server_certificate: self.trust_server_certificate,
            host_name_in_cert: self.host_name_in_certificate.clone(),
            server_certificate: self.server_certificate.clone(),
        };
        Ok(context)
    }
}

/// Refuses a file that is neither a PEM nor a DER certificate, before anything is sent.
fn check_certificate(path: &Path) -> Result<()> {
    /// First byte of DER: the tag of a sequence.
    const SEQUENCE: u8 = 0x30;
    let refused =
        |why: String| Error::configuration(format!("server_certificate={}: {why}", path.display()));
    if path.exists() && !path.is_file() {
        // Reading a pipe could block forever.
        return Err(refused("it is no file".to_owned()));
    }
    let bytes = fs::read(path).map_err(|error| refused(error.to_string()))?;
    let is_pem = || String::from_utf8_lossy(&bytes).contains("-----BEGIN CERTIFICATE-----");
    if bytes.first() == Some(&SEQUENCE) || is_pem() {
        Ok(())
    } else {
        Err(refused("it is neither PEM nor DER".to_owned()))
    }
}

/// Chooses the login by the option `authentication`, or by connectorx's `trusted_connection`.
fn login(config: &DatabaseConfig, trusted_connection: bool) -> Result<Login> {
    let (user, password) = (config.user.clone(), config.password.clone());
    let asked = config.options.get("authentication").map(String::as_str);
    match asked.unwrap_or(if trusted_connection { "integrated" } else { "password" }) {
        "password" => Ok(Login::Password {
            user: user.ok_or_else(|| {
                Error::configuration(
                    "the SQL Server URI names no user: mssql://user:password@host/db",
                )
            })?,
            password: password.unwrap_or_else(|| Secret::new("")),
        }),
        "integrated" if user.is_none() && password.is_none() => Ok(Login::Integrated),
        "integrated" => Err(Error::configuration(
            "integrated authentication takes no user and no password: the process has proved who it is",
        )),
        "access_token" => password.map(Login::AccessToken).ok_or_else(|| {
            Error::configuration(
                "authentication=access_token takes the token in the password's place: mssql://:token@host/db",
            )
        }),
        other => Err(Error::configuration(format!(
            "authentication must be password, integrated or access_token, not {other:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str) -> Result<Options> {
        Options::new(&DatabaseConfig::from_uri(uri, &[SCHEME])?)
    }

    #[test]
    fn uris_name_servers_and_instances() {
        for (uri, source) in [
            ("mssql://sa:x@db/sales", "tcp:db,1433"),
            ("sqlserver://sa@db:1444", "tcp:db,1444"),
            ("mssql://sa@db?instance=X", "tcp:db\\X"),
        ] {
            assert_eq!(options(uri).expect(uri).data_source(), source);
        }
        let defaults = options("mssql://sa:secret@db/sales").expect("valid");
        assert_eq!(defaults.encryption, EncryptionSetting::Required);
        assert!(!defaults.trust_server_certificate);
        assert!(!format!("{defaults:?}").contains("secret"));
    }

    #[test]
    fn logins_are_by_password_ticket_or_token() {
        use TdsAuthenticationMethod as M;
        for (uri, method, user) in [
            ("mssql://sa:secret@db", M::Password, "sa"),
            ("mssql://db?trusted_connection=true", M::SSPI, ""),
            ("mssql://db?authentication=integrated", M::SSPI, ""),
            (
                "mssql://:secret@db?authentication=access_token",
                M::AccessToken,
                "",
            ),
        ] {
            let options = options(uri).expect(uri);
            assert!(!format!("{options:?}").contains("secret"));
            let context = options
                .context(&Stop::default())
                .expect("no password is asked for");
            assert_eq!(context.tds_authentication_method, method, "{uri}");
            assert_eq!(context.user_name, user, "{uri}");
            let token = (method == M::AccessToken).then_some("secret");
            assert_eq!(context.access_token.as_deref(), token);
        }
    }

    #[test]
    fn unknown_options_and_values_are_refused_by_name() {
        for (uri, name) in [
            ("mssql://sa@db?encrpyt=true", "encrpyt"),
            ("mssql://sa@db?encrypt=maybe", "maybe"),
            ("mssql://sa@db?trust_server_certificate=1", "trust"),
            ("mssql://sa@db?connect_timeout=0", "connect_timeout"),
            ("mssql://db/sales", "user"),
            (
                "mssql://sa:x@db?server_certificate=/nowhere.pem",
                "/nowhere.pem",
            ),
            (
                "mssql://sa:x@db?server_certificate=/dev/null",
                "it is no file",
            ),
            (
                "mssql://sa:x@db?server_certificate=x&encrypt=false",
                "encrypt=false",
            ),
            (
                "mssql://sa:x@db?server_certificate=x&host_name_in_certificate=y",
                "host_name_in_certificate",
            ),
            ("mssql://sa:x@db?trusted_connection=true", "no user"),
            (
                "mssql://db?authentication=access_token",
                "in the password's place",
            ),
            (
                "mssql://:x@db?authentication=access_token&encrypt=false",
                "encryption",
            ),
            ("mssql://sa:x@db?authentication=kerberos", "kerberos"),
        ] {
            let error = options(uri).expect_err(uri).to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
