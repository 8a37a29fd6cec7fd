//! What the parts of a URI mean to PostgreSQL, with libpq's names and defaults.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use industrydb_core::retry::retries;
use industrydb_core::{DatabaseConfig, Error, Result, Secret};

use crate::password_file;

const DEFAULT_PORT: u16 = 5432;

/// How long one attempt to log in may take unless `connect_timeout` says otherwise.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Ten years are longer than anybody waits, and shorter than what clocks count.
const MAX_CONNECT_TIMEOUT: u64 = 10 * 366 * 86_400;

const KNOWN: [&str; 9] = [
    "application_name",
    "channel_binding",
    "connect_retries",
    "connect_timeout",
    "options",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
];

/// How much TLS to insist on, as libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whether the login must be bound to the TLS channel, as libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    Disable,
    Prefer,
    Require,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) database: String,
    pub(crate) application_name: String,
    /// Settings for the server's start, as in `-c statement_timeout=5s`.
    pub(crate) start_settings: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) connect_retries: u32,
    pub(crate) ssl_mode: SslMode,
    pub(crate) ssl_root_cert: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub(crate) ssl_cert: Option<(PathBuf, PathBuf)>,
    pub(crate) channel_binding: Binding,
}

impl Options {
    /// Refuses options that PostgreSQL does not have.
    pub(crate) fn check_names(config: &DatabaseConfig) -> Result<()> {
        config.reject_unknown_options("PostgreSQL", &KNOWN)
    }

    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        Self::check_names(config)?;
        let option = |name: &str| config.options.get(name).cloned();
        let user = config
            .user
            .clone()
            .or_else(|| env_var("PGUSER"))
            .or_else(|| env_var("USER"))
            .ok_or_else(|| {
                Error::configuration("the PostgreSQL URI names no user: postgresql://user@host/db")
            })?;
        let port = config.port.unwrap_or(DEFAULT_PORT);
        let host = config
            .host
            .clone()
            .unwrap_or_else(|| "localhost".to_owned());
        let address = if host.starts_with('/') {
            Address::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))
        } else if host.contains(',') {
            return Err(Error::configuration(
                "the PostgreSQL URI names several hosts; pass the one to read from",
            ));
        } else {
            Address::Tcp(host, port)
        };
        let ssl_mode = one_of(
            "sslmode",
            option("sslmode").as_deref().unwrap_or("prefer"),
            &[
                ("disable", SslMode::Disable),
                ("prefer", SslMode::Prefer),
                ("require", SslMode::Require),
                ("verify-ca", SslMode::VerifyCa),
                ("verify-full", SslMode::VerifyFull),
            ],
        )?;
        let channel_binding = one_of(
            "channel_binding",
            option("channel_binding").as_deref().unwrap_or("prefer"),
            &[
                ("disable", Binding::Disable),
                ("prefer", Binding::Prefer),
                ("require", Binding::Require),
            ],
        )?;
        let connect_timeout = match option("connect_timeout") {
            None => DEFAULT_CONNECT_TIMEOUT,
            Some(text) => match text.parse() {
                Ok(seconds @ 1..=MAX_CONNECT_TIMEOUT) => Duration::from_secs(seconds),
                _ => {
                    return Err(Error::configuration(format!(
                        "connect_timeout must be a whole number of seconds from 1, not {text:?}"
                    )));
                }
            },
        };
        let database = config.database.clone().unwrap_or_else(|| user.clone());
        let password = config
            .password
            .clone()
            .or_else(|| env_var("PGPASSWORD").map(Secret::new))
            .or_else(|| password_file::password(&address, &database, &user));
        let path = |name: &str| option(name).map(PathBuf::from);
        let ssl_cert = match (path("sslcert"), path("sslkey")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Error::configuration(
                    "sslcert and sslkey belong together: a certificate and its key",
                ));
            }
        };
        Ok(Self {
            address,
            database,
            user,
            password,
            application_name: option("application_name").unwrap_or_else(|| "industrydb".to_owned()),
            start_settings: option("options"),
            connect_timeout,
            connect_retries: retries(config)?,
            ssl_mode,
            ssl_root_cert: path("sslrootcert"),
            ssl_cert,
            channel_binding,
        })
    }
}

fn env_var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn one_of<T: Copy>(option: &str, text: &str, choices: &[(&str, T)]) -> Result<T> {
    choices
        .iter()
        .find_map(|(name, choice)| (*name == text).then_some(*choice))
        .ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            Error::configuration(format!("{option} must be one of {names:?}, not {text:?}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str) -> Result<Options> {
        Options::new(&DatabaseConfig::from_uri(uri)?)
    }

    #[test]
    fn a_host_with_a_slash_is_a_socket_folder() {
        let options = options("postgresql://ana@/db?host=/run/pg&port=6000").expect("valid");
        assert_eq!(
            options.address,
            Address::Unix("/run/pg/.s.PGSQL.6000".into())
        );
        assert_eq!(options.database, "db");
        assert_eq!(options.ssl_mode, SslMode::Prefer);
    }

    #[test]
    fn what_is_left_out_has_libpqs_defaults() {
        let options = options("postgresql://ana@db").expect("valid");
        assert_eq!(options.address, Address::Tcp("db".to_owned(), 5432));
        assert_eq!(options.database, "ana");
    }

    #[test]
    fn unknown_options_and_values_are_refused_by_name() {
        for (uri, part) in [
            ("postgresql://ana@db?sslmod=require", "\"sslmod\""),
            ("postgresql://ana@db?sslmode=maybe", "\"maybe\""),
            ("postgresql://ana@db?connect_timeout=0", "connect_timeout"),
            (
                "postgresql://ana@db?connect_timeout=9223372036854775807",
                "connect_timeout",
            ),
            ("postgresql://ana@db?connect_retries=-1", "connect_retries"),
            ("postgresql://ana@db?connect_retries=101", "from 0 to 100"),
            ("postgresql://ana@db?sslcert=a.pem", "belong together"),
            ("postgresql://ana@a,b/db", "several hosts"),
        ] {
            let message = options(uri).expect_err(uri).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
