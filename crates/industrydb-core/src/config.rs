//! Which database, where, and as whom: taken from a URI, with its secrets masked everywhere.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode_str;

use crate::{Error, Result};

/// Schemes whose URI names a file instead of a server.
const FILE_SCHEMES: [&str; 1] = ["sqlite"];

/// What to write in place of a character that would end a part of the URI.
const ENCODE_HINT: &str =
    "characters such as @ : / ? # % in a user name or password must be percent-encoded (@ is %40)";

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a database is and how to log in.
///
/// # Examples
///
/// ```
/// use industrydb_core::DatabaseConfig;
///
/// let config = DatabaseConfig::from_uri("postgresql://ana:s%40cret@db:5433/sales?sslmode=require")?;
/// assert_eq!(config.host.as_deref(), Some("db"));
/// assert_eq!(config.options["sslmode"], "require");
/// assert!(!format!("{config:?}").contains("s@cret"));
///
/// let config = DatabaseConfig::from_uri("sqlite:///data/my file.db")?;
/// assert_eq!(config.database.as_deref(), Some("/data/my file.db"));
/// # Ok::<(), industrydb_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// The scheme in lower case, which names the kind of database.
    pub scheme: String,
    /// A host name, an address, or the folder of a Unix socket.
    pub host: Option<String>,
    /// The TCP port, which also names a Unix socket.
    pub port: Option<u16>,
    /// The user to log in as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The database's name, or its file.
    pub database: Option<String>,
    /// What stands behind the `?`, decoded.
    pub options: BTreeMap<String, String>,
}

impl DatabaseConfig {
    /// Takes a URI apart.
    ///
    /// Servers: `scheme://user:password@host:port/database?option=value`, every part optional and
    /// percent-decoded; as in libpq, `host`, `port`, `user`, `password` and `dbname` may also stand
    /// among the options (a socket's folder can only stand there). Files: all between `://` and `?`
    /// is the path, so `sqlite:///x.db` is absolute and `sqlite://x.db` relative.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where the text is no such URI. The message never repeats the text,
    /// since a password may stand anywhere in a mistyped URI.
    pub fn from_uri(uri: &str) -> Result<Self> {
        let is_scheme = |(scheme, _): &(&str, &str)| {
            let part_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
            scheme.bytes().all(part_of_scheme)
        };
        let parts = uri.trim().split_once("://").filter(is_scheme);
        let (scheme, rest) = parts.ok_or_else(|| {
            Error::configuration(
                "this is not a database URI: expected something like \
                 postgresql://user:password@host:5432/database or sqlite:///path/to/file.db",
            )
        })?;
        let scheme = scheme.to_ascii_lowercase();
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut config = Self {
            scheme,
            host: None,
            port: None,
            user: None,
            password: None,
            database: None,
            options: options(query)?,
        };
        if FILE_SCHEMES.contains(&config.scheme.as_str()) {
            config.database = non_empty(location)?;
        } else {
            config.server(location)?;
        }
        Ok(config)
    }

    /// The URI as it is, but for its password.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where the text is no URI of a database.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    ///
    /// let uri = "postgresql://ana:s%40cret@db/sales?password=other&sslmode=require";
    /// let without = DatabaseConfig::without_password(uri)?;
    /// assert_eq!(without, "postgresql://ana@db/sales?sslmode=require");
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn without_password(uri: &str) -> Result<String> {
        let config = Self::from_uri(uri)?;
        if config.password.is_none() {
            return Ok(uri.to_owned());
        }
        let (location, query) = uri.split_once('?').unwrap_or((uri, ""));
        let location = match location.rsplit_once('@') {
            None => location.to_owned(),
            Some((login, address)) => {
                let (scheme, login) = login.split_once("://").unwrap_or(("", login));
                let user = login.split_once(':').map_or(login, |(user, _)| user);
                format!("{scheme}://{user}@{address}")
            }
        };
        let is_password = |pair: &&str| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            decoded(name).is_ok_and(|name| name == "password")
        };
        let options: Vec<&str> = query.split('&').filter(|pair| !is_password(pair)).collect();
        Ok(match options.join("&") {
            options if options.is_empty() => location,
            options => format!("{location}?{options}"),
        })
    }

    fn server(&mut self, location: &str) -> Result<()> {
        let (authority, database) = location.split_once('/').unwrap_or((location, ""));
        if database.contains('@') {
            return Err(Error::configuration(format!(
                "the URI has an @ behind its first /: {ENCODE_HINT}"
            )));
        }
        let address = match authority.rsplit_once('@') {
            None => authority,
            Some((login, address)) => {
                let (user, password) = match login.split_once(':') {
                    None => (login, None),
                    Some((user, password)) => (user, Some(password)),
                };
                self.user = non_empty(user)?;
                self.password = password.map(decoded).transpose()?.map(Secret);
                address
            }
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed
                    .split_once(']')
                    .ok_or_else(|| Error::configuration("the URI's host has a [ without its ]"))?;
                (host, port.strip_prefix(':').unwrap_or(port))
            }
            None => address.split_once(':').unwrap_or((address, "")),
        };
        self.host = non_empty(host)?;
        self.database = non_empty(database)?;
        let mut port = non_empty(port)?;
        for (option, field) in [
            ("host", &mut self.host),
            ("port", &mut port),
            ("user", &mut self.user),
            ("dbname", &mut self.database),
        ] {
            if let Some(value) = self.options.remove(option) {
                *field = Some(value);
            }
        }
        if let Some(password) = self.options.remove("password") {
            self.password = Some(Secret(password));
        }
        self.port = port
            .map(|port| match port.parse() {
                Ok(0) | Err(_) => Err(Error::configuration(format!(
                    "the URI's port is not a number from 1 to 65535; {ENCODE_HINT}"
                ))),
                Ok(port) => Ok(port),
            })
            .transpose()?;
        Ok(())
    }
}

fn options(query: &str) -> Result<BTreeMap<String, String>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let option = pair.split_once('=').filter(|_| !pair.contains('@'));
            let (name, value) = option.ok_or_else(|| {
                Error::configuration(format!(
                    "what stands behind the URI's ? is not of the form option=value; {ENCODE_HINT}"
                ))
            })?;
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn non_empty(part: &str) -> Result<Option<String>> {
    Ok(Some(decoded(part)?).filter(|text| !text.is_empty()))
}

fn decoded(part: &str) -> Result<String> {
    percent_decode_str(part)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| Error::configuration("a percent-encoded part of the URI is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(uri: &str) -> DatabaseConfig {
        DatabaseConfig::from_uri(uri).expect("a valid URI")
    }

    #[test]
    fn every_part_of_a_server_uri_is_found_and_decoded() {
        let config = config(
            "PostgreSQL://us%65r:p%40ss%3Aw%2Frd@db.example:5433/my%20db?application_name=a%26b&x=1",
        );
        assert_eq!(config.scheme, "postgresql");
        assert_eq!(config.user.as_deref(), Some("user"));
        assert_eq!(config.password, Some(Secret::new("p@ss:w/rd")));
        assert_eq!(config.host.as_deref(), Some("db.example"));
        assert_eq!(config.port, Some(5433));
        assert_eq!(config.database.as_deref(), Some("my db"));
        assert_eq!(config.options["application_name"], "a&b");
        assert_eq!(config.options["x"], "1");
    }

    #[test]
    fn a_socket_folder_stands_among_the_options() {
        let config = config("postgresql://ana@/db?host=/run/pg sql&port=6000");
        assert_eq!(config.host.as_deref(), Some("/run/pg sql"));
        assert_eq!(config.port, Some(6000));
        assert!(config.options.is_empty());
    }

    #[test]
    fn an_ipv6_host_stands_in_brackets() {
        let config = config("postgresql://[::1]:5432/db");
        assert_eq!(
            (config.host.as_deref(), config.port),
            (Some("::1"), Some(5432))
        );
        assert_eq!(config.user, None);
    }

    #[test]
    fn file_uris_are_absolute_or_relative() {
        for (uri, path) in [
            ("sqlite:///data/x y.db", "/data/x y.db"),
            ("sqlite:///data/x%20y.db", "/data/x y.db"),
            ("sqlite://data/x.db", "data/x.db"),
            ("sqlite://me@home.db", "me@home.db"),
            ("sqlite://100%25%3F.db", "100%?.db"),
        ] {
            assert_eq!(config(uri).database.as_deref(), Some(path), "{uri}");
        }
    }

    #[test]
    fn secrets_are_in_no_message() {
        for uri in [
            "ana:hunter2@host/db",
            "postgresql://ana:hun/ter2@host/db",
            "postgresql://ana:hunter2?x@host/db",
            "postgresql://ana:1?hunter2=x@host/db",
            "postgresql://ana:1/x?hunter2=x@host/db",
            "ana:hunter2@postgresql://host/db",
            "postgresql://ana:hunter2/x",
            "postgresql://ana:%ffhunter2@host/db",
            "postgresql://ana@host:0/db?password=hunter2",
        ] {
            let message = DatabaseConfig::from_uri(uri)
                .expect_err("not a valid URI")
                .to_string();
            for secret in ["hunter2", "hun", "ter2"] {
                assert!(!message.contains(secret), "{uri}: {message}");
            }
        }
        let config = config("postgresql://ana@host/db?password=hunter2");
        assert_eq!(config.password, Some(Secret::new("hunter2")));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
