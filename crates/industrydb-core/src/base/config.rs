//! Configuration of a database: kind, address, login and options, parsed from a URI. Secrets are
//! masked wherever they are printed.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::{Error, Result};
use super::mistaken_uri::no_uri;
pub use super::scheme::Scheme;
use super::secret::Secret;
use super::suggest::did_you_mean;

/// Characters to percent-encode in a URI: all but the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Characters to percent-encode in an IPv6 address, which stands in brackets and keeps its colons.
const RESERVED_IN_BRACKETS: &AsciiSet = &RESERVED.remove(b':');

/// Characters to percent-encode in a path, which keeps its slashes.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Hint in messages for characters that would end a component of the URI.
const ENCODE_HINT: &str =
    "characters such as @ : / ? # % in a user name or password must be percent-encoded (@ is %40)";

/// Address of a database, and how to log in.
///
/// # Examples
///
/// ```
/// use industrydb_core::DatabaseConfig;
/// use industrydb_core::config::Scheme;
///
/// let server = Scheme { name: "postgresql", synonyms: &["postgres"], is_file: false };
/// let file = Scheme { name: "sqlite", synonyms: &[], is_file: true };
/// let schemes = [server, file];
/// let uri = "postgresql://ana:s%40cret@db:5433/sales?sslmode=require";
/// let config = DatabaseConfig::from_uri(uri, &schemes)?;
/// assert_eq!(config.host.as_deref(), Some("db"));
/// assert_eq!(config.options["sslmode"], "require");
/// assert!(!format!("{config:?}").contains("s@cret"));
///
/// let config = DatabaseConfig::from_uri("sqlite:///data/my file.db", &schemes)?;
/// assert_eq!(config.database.as_deref(), Some("/data/my file.db"));
/// # Ok::<(), industrydb_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatabaseConfig {
    /// The kind of database.
    pub scheme: String,
    /// Whether the database is a file instead of being on a server.
    pub is_file: bool,
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
    /// Options after the `?`, decoded.
    pub options: BTreeMap<String, String>,
}

/// Scheme of a database whose scheme is unknown.
const UNKNOWN: Scheme = Scheme {
    name: "",
    synonyms: &[],
    is_file: false,
};

impl DatabaseConfig {
    /// Creates a configuration with this scheme and no other field set.
    pub fn new(scheme: &Scheme) -> Self {
        Self {
            scheme: scheme.name.to_owned(),
            is_file: scheme.is_file,
            host: None,
            port: None,
            user: None,
            password: None,
            database: None,
            options: BTreeMap::new(),
        }
    }

    /// Creates a configuration with the scheme of this name, in upper or lower case. An unknown
    /// name is kept as the scheme of a server, so that the code that opens the database can refuse
    /// it.
    pub fn named(name: &str, schemes: &[Scheme]) -> Self {
        let name = name.to_ascii_lowercase();
        match schemes.iter().find(|scheme| scheme.is_named(&name)) {
            Some(scheme) => Self::new(scheme),
            None => Self {
                scheme: name,
                ..Self::new(&UNKNOWN)
            },
        }
    }

    /// Returns the URI that [`from_uri`](Self::from_uri) parses into this configuration. A URI
    /// without the password can be displayed. A password that is asked for is in no URI.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_core::config::Scheme;
    ///
    /// let schemes = [Scheme { name: "postgresql", synonyms: &["postgres"], is_file: false }];
    /// let uri = "postgres://ana:s%40cret@db/sales?sslmode=require";
    /// let config = DatabaseConfig::from_uri(uri, &schemes)?;
    /// assert_eq!(config.to_uri(false), "postgresql://ana@db/sales?sslmode=require");
    /// assert_eq!(DatabaseConfig::from_uri(&config.to_uri(true), &schemes)?, config);
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn to_uri(&self, with_password: bool) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let database = self.database.as_deref().unwrap_or_default();
        let mut options: Vec<String> = Vec::new();
        let location = if self.is_file {
            utf8_percent_encode(database, RESERVED_IN_PATH).to_string()
        } else {
            let user = self.user.as_deref().map(encoded).unwrap_or_default();
            let password = self.password.as_ref().filter(|_| with_password);
            let password = password.and_then(Secret::text);
            let password = password.map(|password| format!(":{}", encoded(password)));
            let login = user + &password.unwrap_or_default();
            let at = if login.is_empty() { "" } else { "@" };
            let host = match self.host.as_deref() {
                // A socket's folder has slashes, so it cannot stand in the place of a host.
                // Nor can a list of IPv6 addresses.
                Some(folder)
                    if folder.contains('/') || folder.contains(',') && folder.contains(':') =>
                {
                    options.push(format!("host={}", encoded(folder)));
                    String::new()
                }
                Some(address) if address.contains(':') => {
                    format!("[{}]", utf8_percent_encode(address, RESERVED_IN_BRACKETS))
                }
                host => host.map(encoded).unwrap_or_default(),
            };
            let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
            let slash = if database.is_empty() { "" } else { "/" };
            format!("{login}{at}{host}{port}{slash}{}", encoded(database))
        };
        let pair =
            |(name, value): (&String, &String)| format!("{}={}", encoded(name), encoded(value));
        options.extend(self.options.iter().map(pair));
        let question = if options.is_empty() { "" } else { "?" };
        format!(
            "{}://{location}{question}{}",
            self.scheme,
            options.join("&")
        )
    }

    /// Refuses options that a database does not have.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] that names the option, the one that may be meant, and all known
    /// ones.
    pub fn reject_unknown_options(&self, database: &str, known: &[&str]) -> Result<()> {
        let names_hosts = self.host.as_ref().is_some_and(|host| host.contains(','));
        // A database that reads a list of hosts has the option for the list of their ports.
        if names_hosts && !known.contains(&"port") {
            return Err(Error::configuration(format!(
                "several hosts are named; pass the one to read from, as {database} takes one"
            )));
        }
        match self
            .options
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(Error::configuration(format!(
                "unknown option {name:?} for {database}{}; it has {known:?}",
                did_you_mean(name, known)
            ))),
        }
    }

    /// Parses a URI.
    ///
    /// Servers: `scheme://user:password@host:port/database?option=value`, every component optional
    /// and percent-decoded; as in libpq, `host`, `port`, `user`, `password` and `dbname` may also
    /// stand among the options (a socket's folder can only stand there). Files: all between `://`
    /// and `?` is the path, so `scheme:///x.db` is absolute and `scheme://x.db` relative.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if the text is not such a URI. The message never repeats the text,
    /// since a password may stand anywhere in a mistyped URI.
    pub fn from_uri(uri: &str, schemes: &[Scheme]) -> Result<Self> {
        let is_scheme = |(scheme, _): &(&str, &str)| {
            let part_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
            scheme.bytes().all(part_of_scheme)
        };
        let parts = uri.trim().split_once("://").filter(is_scheme);
        let (scheme, rest) = parts.ok_or_else(|| no_uri(uri, schemes))?;
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut config = Self {
            options: options(query)?,
            ..Self::named(scheme, schemes)
        };
        if config.is_file {
            config.database = non_empty(location)?;
        } else {
            config.server(location)?;
        }
        Ok(config)
    }

    /// Returns the URI as it is, but without its password.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if the text is not the URI of a database.
    ///
    /// # Examples
    ///
    /// ```
    /// use industrydb_core::DatabaseConfig;
    /// use industrydb_core::config::Scheme;
    ///
    /// let uri = "postgresql://ana:s%40cret@db/sales?password=other&sslmode=require";
    /// let schemes = [Scheme { name: "postgresql", synonyms: &["postgres"], is_file: false }];
    /// let without = DatabaseConfig::without_password(uri, &schemes)?;
    /// assert_eq!(without, "postgresql://ana@db/sales?sslmode=require");
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn without_password(uri: &str, schemes: &[Scheme]) -> Result<String> {
        let config = Self::from_uri(uri, schemes)?;
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
                self.password = password.map(decoded).transpose()?.map(Secret::new);
                address
            }
        };
        let servers = address.split(',').map(host_and_port);
        let (hosts, ports): (Vec<&str>, Vec<&str>) =
            servers.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        self.host = non_empty(&hosts.join(","))?;
        self.database = non_empty(database)?;
        let has_port = ports.iter().any(|port| !port.is_empty());
        let ports = ports.join(",");
        let mut port = non_empty(if has_port { &ports } else { "" })?;
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
            self.password = Some(Secret::new(password));
        }
        if let Some(list) = port.take_if(|port| port.contains(',')) {
            self.options.insert("port".to_owned(), list); // the database reads the list
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

/// Splits a host from its port, which may be empty.
fn host_and_port(address: &str) -> Result<(&str, &str)> {
    let Some(bracketed) = address.strip_prefix('[') else {
        return Ok(address.split_once(':').unwrap_or((address, "")));
    };
    let (host, port) = bracketed
        .split_once(']')
        .ok_or_else(|| Error::configuration("the URI's host has a [ without its ]"))?;
    Ok((host, port.strip_prefix(':').unwrap_or(port)))
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

    const SERVER: Scheme = Scheme {
        name: "postgresql",
        synonyms: &["postgres"],
        is_file: false,
    };
    const FILE: Scheme = Scheme {
        name: "sqlite",
        synonyms: &[],
        is_file: true,
    };
    const SCHEMES: [Scheme; 2] = [SERVER, FILE];

    fn config(uri: &str) -> DatabaseConfig {
        DatabaseConfig::from_uri(uri, &SCHEMES).expect("a valid URI")
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

    use proptest::prelude::*;

    /// Generates any text that a user may choose for a component of a URI.
    fn part() -> impl Strategy<Value = Option<String>> {
        prop::option::of("\\PC{1,8}|[@:/?#%\\[\\]&=; ]{1,4}")
    }

    proptest! {
        #[test]
        fn every_configuration_is_its_uri(
            host in part(), user in part(), password in part(), database in part(), port in prop::option::of(1_u16..),
            options in prop::collection::btree_map("o_[a-z]{1,5}|\\PC{1,3}", "\\PC{0,6}", 0..4),
        ) {
            for scheme in ["postgresql", "unknown"] {
                let config = DatabaseConfig {
                    host: host.clone(),
                    port,
                    user: user.clone(),
                    password: password.clone().map(Secret::new),
                    database: database.clone(),
                    options: options.clone(),
                    ..DatabaseConfig::named(scheme, &SCHEMES)
                };
                prop_assert_eq!(&DatabaseConfig::from_uri(&config.to_uri(true), &SCHEMES).expect("valid"), &config);
                let shown = DatabaseConfig { password: None, ..config.clone() };
                prop_assert_eq!(DatabaseConfig::from_uri(&config.to_uri(false), &SCHEMES).expect("valid"), shown);
            }
            let file = DatabaseConfig { database, options, ..DatabaseConfig::new(&FILE) };
            prop_assert_eq!(DatabaseConfig::from_uri(&file.to_uri(true), &SCHEMES).expect("valid"), file);
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
            let message = DatabaseConfig::from_uri(uri, &SCHEMES)
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
