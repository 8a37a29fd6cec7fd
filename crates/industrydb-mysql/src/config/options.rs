//! The connection options, with the names and defaults of MySQL's own clients.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use industrydb_core::config::Scheme;
use industrydb_core::net::address::Address;
use industrydb_core::retry::retries;
use industrydb_core::{DatabaseConfig, Error, Result, Secret};

use crate::config::option_file;

const DEFAULT_PORT: u16 = 3306;

/// Default of `connect_timeout`, the time limit of one attempt to log in, in seconds.
const DEFAULT_CONNECT_TIMEOUT_S: u64 = 10;

/// Largest `connect_timeout`, in seconds: ten years, which clocks can still count.
const MAX_CONNECT_TIMEOUT_S: u64 = 10 * 366 * 86_400;

/// URI scheme of MySQL and MariaDB databases.
pub(crate) const SCHEME: Scheme = Scheme {
    name: "mysql",
    synonyms: &["mariadb"],
    is_file: false,
};

/// Names of the options behind the `?` of a URI. Each may also be written with `_` in place of `-`.
const OPTIONS: [&str; 12] = [
    "charset",
    "compress",
    "connect_retries",
    "connect_timeout",
    "get-server-public-key",
    "server-public-key-path",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "unix_socket",
    "zero_dates",
];

/// Required level of TLS, as in MySQL's `--ssl-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum SslMode {
    Disabled,
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
}

/// Names of the levels of TLS.
const SSL_MODES: [(&str, SslMode); 5] = [
    ("disabled", SslMode::Disabled),
    ("preferred", SslMode::Preferred),
    ("required", SslMode::Required),
    ("verify_ca", SslMode::VerifyCa),
    ("verify_identity", SslMode::VerifyIdentity),
];

/// What becomes of dates such as `0000-00-00`, which no calendar has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZeroDates {
    Error,
    Null,
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) database: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) connect_retries: u32,
    pub(crate) ssl_mode: SslMode,
    pub(crate) ssl_ca: Option<PathBuf>,
    /// Paths of the client's certificate and its key.
    pub(crate) ssl_cert: Option<(PathBuf, PathBuf)>,
    /// Path of the server's public key, by which a password is encrypted without TLS.
    pub(crate) public_key: Option<PathBuf>,
    /// Whether the server may be asked for its public key in the clear.
    pub(crate) asks_for_key: bool,
    pub(crate) zero_dates: ZeroDates,
    /// Whether all bytes behind the login are compressed by zlib.
    pub(crate) is_compressed: bool,
}

impl Options {
    /// Refuses options that MySQL does not have.
    pub(crate) fn check_names(config: &DatabaseConfig) -> Result<()> {
        let config = DatabaseConfig {
            options: canonical(config)?,
            ..config.clone()
        };
        config.reject_unknown_options("MySQL", &OPTIONS)
    }

    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        Self::check_names(config)?;
        let config = &option_file::completed(DatabaseConfig {
            options: canonical(config)?,
            ..config.clone()
        });
        let options = &config.options;
        let option = |name: &str| options.get(name).map(String::as_str);
        let path = |name: &str| option(name).map(PathBuf::from);
        if let Some(charset) = option("charset")
            && !["utf8mb4", "utf8"].contains(&charset.to_ascii_lowercase().as_str())
        {
            return Err(Error::configuration(format!(
                "charset must be utf8mb4, in which all texts are exchanged, not {charset:?}: the server converts \
                 columns of any character set"
            )));
        }
        let address = match (option("unix_socket"), &config.host) {
            (Some(path), _) => Address::Unix(PathBuf::from(path)),
            (None, Some(path)) if path.starts_with('/') => Address::Unix(PathBuf::from(path)),
            (None, host) => Address::Tcp(
                host.clone().unwrap_or_else(|| "localhost".to_owned()),
                config.port.unwrap_or(DEFAULT_PORT),
            ),
        };
        let user = config.user.clone().or_else(|| whoami::username().ok());
        let user = user.ok_or_else(|| {
            Error::configuration("the MySQL URI names no user: mysql://user@host/db")
        })?;
        let ssl_ca = path("ssl-ca");
        let ssl_mode = one_of(options, "ssl-mode", &SSL_MODES)?;
        // As in MySQL's own clients: an authority that is named is to be looked at.
        let ssl_mode = ssl_mode.unwrap_or(match &ssl_ca {
            Some(_) => SslMode::VerifyCa,
            None => SslMode::Preferred,
        });
        if ssl_mode == SslMode::VerifyCa && ssl_ca.is_none() {
            return Err(Error::configuration(
                "ssl-mode=verify_ca looks at no name, and needs an ssl-ca of its own: with the system's authorities, \
                 any certificate would do",
            ));
        }
        let ssl_cert = match (path("ssl-cert"), path("ssl-key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Error::configuration(
                    "ssl-cert and ssl-key belong together: a certificate and its key",
                ));
            }
        };
        let password = config.password.clone().or_else(|| {
            let password = std::env::var("MYSQL_PWD").ok();
            password.filter(|text| !text.is_empty()).map(Secret::new)
        });
        let asks_for_key = [("true", true), ("1", true), ("false", false), ("0", false)];
        let compress = [("none", false), ("zlib", true)];
        let zero_dates = [("error", ZeroDates::Error), ("null", ZeroDates::Null)];
        Ok(Self {
            address,
            user,
            password,
            database: config.database.clone(),
            connect_timeout: Duration::from_secs(connect_timeout_s(options)?),
            connect_retries: retries(config)?,
            ssl_mode,
            ssl_ca,
            ssl_cert,
            public_key: path("server-public-key-path"),
            asks_for_key: one_of(options, "get-server-public-key", &asks_for_key)?.unwrap_or(false),
            zero_dates: one_of(options, "zero_dates", &zero_dates)?.unwrap_or(ZeroDates::Error),
            is_compressed: one_of(options, "compress", &compress)?.unwrap_or(false),
        })
    }

    /// Returns the same options, with TLS required if it was optional.
    pub(crate) fn insisting(&self) -> Self {
        let ssl_mode = match self.ssl_mode {
            SslMode::Preferred => SslMode::Required,
            other => other,
        };
        Self {
            ssl_mode,
            ..self.clone()
        }
    }
}

/// Returns the options by their names in [`OPTIONS`].
fn canonical(config: &DatabaseConfig) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    for (name, value) in &config.options {
        let is_same = |known: &&&str| known.replace('-', "_") == name.replace('-', "_");
        let known = OPTIONS.iter().find(is_same);
        let known = known.map_or(name.clone(), |known| (*known).to_owned());
        if options.insert(known.clone(), value.clone()).is_some() {
            return Err(Error::configuration(format!(
                "the option {known:?} is given twice, with - and with _ in its name"
            )));
        }
    }
    Ok(options)
}

/// Returns what an option's value stands for; `None` if it is not set.
fn one_of<T: Copy>(
    options: &BTreeMap<String, String>,
    name: &str,
    known: &[(&str, T)],
) -> Result<Option<T>> {
    let Some(given) = options.get(name) else {
        return Ok(None);
    };
    let wanted = given.to_ascii_lowercase().replace('-', "_");
    let found = known.iter().find(|(text, _)| *text == wanted);
    let names: Vec<&str> = known.iter().map(|(text, _)| *text).collect();
    found.map(|(_, value)| Some(*value)).ok_or_else(|| {
        Error::configuration(format!("{name} must be one of {names:?}, not {given:?}"))
    })
}

fn connect_timeout_s(options: &BTreeMap<String, String>) -> Result<u64> {
    let Some(text) = options.get("connect_timeout") else {
        return Ok(DEFAULT_CONNECT_TIMEOUT_S);
    };
    let seconds = text.trim().parse().ok();
    seconds
        .filter(|seconds| (1..=MAX_CONNECT_TIMEOUT_S).contains(seconds))
        .ok_or_else(|| {
            Error::configuration(format!(
                "connect_timeout must be a whole number of seconds from 1 to {MAX_CONNECT_TIMEOUT_S}, not {text:?}"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str) -> Result<Options> {
        Options::new(&DatabaseConfig::from_uri(uri, &[SCHEME])?)
    }

    #[test]
    fn options_have_the_names_of_the_servers_own_clients() {
        let found = options("mariadb://ana:x@db/shop?ssl_mode=VERIFY-CA&ssl-ca=/ca.pem").unwrap();
        assert_eq!(found.ssl_mode, SslMode::VerifyCa);
        assert_eq!(found.address, Address::Tcp("db".to_owned(), 3306));
        let found = options("mysql://ana@/shop?unix_socket=/run/my.sock").unwrap();
        assert_eq!(found.address, Address::Unix("/run/my.sock".into()));
        assert_eq!(found.ssl_mode, SslMode::Preferred);
        let found = options("mysql://ana@db?ssl-ca=/ca.pem").unwrap();
        assert_eq!(found.ssl_mode, SslMode::VerifyCa);
    }

    #[test]
    fn wrong_options_are_refused_with_what_there_is() {
        for (uri, part) in [
            ("mysql://ana@db?sslmode=require", "ssl-mode"),
            ("mysql://ana@db?ssl-mode=on", "verify_identity"),
            ("mysql://ana@db?ssl-mode=verify_ca", "ssl-ca"),
            ("mysql://ana@db?ssl-cert=/a", "ssl-key"),
            ("mysql://ana@db?charset=latin1", "utf8mb4"),
            ("mysql://ana@db?compress=zstd", r#"["none", "zlib"]"#),
            ("mysql://ana@db?connect_timeout=0", "from 1"),
            ("mysql://ana@db?ssl-ca=/a&ssl_ca=/b", "twice"),
        ] {
            let error = options(uri).expect_err(uri).to_string();
            assert!(error.contains(part), "{uri}: {error}");
        }
    }
}
