//! The connection options, with libpq's names and defaults.

use std::path::PathBuf;
use std::time::Duration;

use industrydb_core::config::Scheme;
use industrydb_core::net::address::Address;
use industrydb_core::retry::retries;
use industrydb_core::{DatabaseConfig, Error, Result, Secret};

use socket2::TcpKeepalive;

use crate::config::hosts::{Host, Wanted, hosts};
use crate::config::password_file;
use crate::config::settings::{Settings, env_var, in_home};

/// URI scheme of PostgreSQL databases.
pub(crate) const SCHEME: Scheme = Scheme {
    name: "postgresql",
    synonyms: &["postgres"],
    is_file: false,
};

/// Default of `connect_timeout`, the time limit of one attempt to log in, in seconds.
const DEFAULT_CONNECT_TIMEOUT_S: u64 = 10;

/// Largest `connect_timeout`, in seconds: ten years, which clocks can still count.
const MAX_CONNECT_TIMEOUT_S: u64 = 10 * 366 * 86_400;

/// Options of TCP keepalive, each with its default and its largest value: the seconds of silence
/// before the peer is probed, the seconds between probes, and the number of unanswered probes after
/// which the connection is lost. The systems' own two hours of silence are longer than firewalls
/// remember a connection.
const KEEPALIVE: [(&str, u64, u64); 3] = [
    ("keepalives_idle", 60, 32_767),
    ("keepalives_interval", 10, 32_767),
    ("keepalives_count", 6, 127),
];

/// Required level of TLS, as libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Allow,
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

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) address: Address,
    /// Address to connect to instead of the host's. TLS still verifies the host's name.
    pub(crate) host_address: Option<String>,
    /// Further hosts, with the password for each.
    pub(crate) others: Vec<(Host, Option<Secret>)>,
    /// Kind of server to search the hosts for.
    pub(crate) wanted: Wanted,
    pub(crate) keepalive: Option<TcpKeepalive>,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) database: String,
    pub(crate) application_name: String,
    /// Settings for the start of the session, as in `-c statement_timeout=5s`.
    pub(crate) start_settings: Option<String>,
    pub(crate) time_zone: Option<String>,
    /// Order in which the server reads days and months. How it prints dates is set in each
    /// transaction.
    pub(crate) date_style: Option<String>,
    /// Whether the server plans queries with many joins by a randomized search.
    pub(crate) geqo: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) connect_retries: u32,
    pub(crate) ssl_mode: SslMode,
    pub(crate) ssl_root_cert: Option<PathBuf>,
    /// Paths of the client's certificate and its key.
    pub(crate) ssl_cert: Option<(PathBuf, PathBuf)>,
    pub(crate) channel_binding: Binding,
}

impl Options {
    /// Refuses options that PostgreSQL does not have.
    pub(crate) fn check_names(config: &DatabaseConfig) -> Result<()> {
        Settings::check_names(config)
    }

    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        Self::check_names(config)?;
        let settings = Settings::new(config)?;
        let option = |name: &str| settings.get(name).map(str::to_owned);
        let user = option("user")
            .or_else(|| whoami::username().ok()) // the account's name, whatever $USER says
            .ok_or_else(|| {
                Error::configuration("the PostgreSQL URI names no user: postgresql://user@host/db")
            })?;
        let hosts = hosts(&settings)?;
        let wanted = one_of(&settings, "target_session_attrs", "any", &Wanted::NAMES)?;
        let ssl_mode = ssl_mode(&settings)?;
        let channel_binding = one_of(
            &settings,
            "channel_binding",
            "prefer",
            &[
                ("disable", Binding::Disable),
                ("prefer", Binding::Prefer),
                ("require", Binding::Require),
            ],
        )?;
        let seconds = DEFAULT_CONNECT_TIMEOUT_S;
        let is_unlimited = |text: &str| text.trim().parse().is_ok_and(|number: i64| number <= 0);
        let seconds = if settings.get("connect_timeout").is_some_and(is_unlimited) {
            MAX_CONNECT_TIMEOUT_S // libpq reads 0 and less as no limit
        } else {
            settings.number("connect_timeout", seconds, 1..=MAX_CONNECT_TIMEOUT_S)?
        };
        let database = option("dbname").unwrap_or_else(|| user.clone());
        let path = |name: &str| option(name).map(PathBuf::from);
        let asked = config.password.clone();
        let given = asked
            .filter(|password| password.text().is_none())
            .or_else(|| {
                let password = option("password").filter(|password| !password.is_empty());
                password.map(Secret::new)
            });
        let password = |host: &Host| {
            let of_file =
                || password_file::password(path("passfile"), &host.address, &database, &user);
            given.clone().or_else(of_file)
        };
        let hosts: Vec<(Host, Option<Secret>)> = hosts
            .into_iter()
            .map(|host| {
                let password = password(&host);
                (host, password)
            })
            .collect();
        let is_tcp = |(host, _): &(Host, _)| matches!(host.address, Address::Tcp(..));
        let may_be_tls = hosts.iter().any(is_tcp) && ssl_mode != SslMode::Disable;
        let mut hosts = hosts.into_iter();
        let (first, password) = hosts
            .next()
            .ok_or_else(|| Error::configuration("no host"))?;
        let (ssl_root_cert, ssl_cert) = if may_be_tls {
            (
                root_certificate(&settings, ssl_mode)?,
                client_certificate(&settings)?,
            )
        } else {
            (None, None)
        };
        Ok(Self {
            address: first.address,
            host_address: first.host_address,
            others: hosts.collect(),
            wanted,
            keepalive: keepalive(&settings)?,
            database,
            user,
            password,
            application_name: option("application_name").unwrap_or_else(|| "industrydb".to_owned()),
            start_settings: option("options"),
            time_zone: env_var("PGTZ")?,
            date_style: env_var("PGDATESTYLE")?,
            geqo: env_var("PGGEQO")?,
            connect_timeout: Duration::from_secs(seconds),
            connect_retries: retries(config)?,
            ssl_mode,
            ssl_root_cert,
            ssl_cert,
            channel_binding,
        })
    }

    /// Returns the options for each of the hosts alone.
    pub(crate) fn each(&self) -> Vec<Self> {
        let alone =
            |address: &Address, host_address: &Option<String>, password: &Option<Secret>| Self {
                address: address.clone(),
                host_address: host_address.clone(),
                password: password.clone(),
                others: Vec::new(),
                wanted: Wanted::Any,
                ..self.clone()
            };
        let first = alone(&self.address, &self.host_address, &self.password);
        let others = self.others.iter();
        let others =
            others.map(|(host, password)| alone(&host.address, &host.host_address, password));
        [first].into_iter().chain(others).collect()
    }

    /// Returns these options for the host that a session was opened with.
    pub(crate) fn at(&self, session: &Self) -> Self {
        let mut each = self.each();
        let place = each.iter().position(|alone| {
            alone.address == session.address && alone.host_address == session.host_address
        });
        each.swap_remove(place.unwrap_or_default())
    }

    /// Returns the address to connect to.
    pub(crate) fn target(&self) -> Address {
        match (&self.address, &self.host_address) {
            (Address::Tcp(_, port), Some(address)) => Address::Tcp(address.clone(), *port),
            (address, _) => address.clone(),
        }
    }

    /// Returns whether the server must show a trusted certificate: see [`verifies`].
    pub(crate) fn verifies(&self) -> bool {
        verifies(self.ssl_root_cert.as_ref(), self.ssl_mode)
    }

    /// Returns the same options, with TLS required if it was optional.
    pub(crate) fn insisting(&self) -> Self {
        let ssl_mode = match self.ssl_mode {
            SslMode::Allow | SslMode::Prefer => SslMode::Require,
            other => other,
        };
        self.with(ssl_mode)
    }

    /// Returns the options for another attempt if the server refuses the login with or without TLS.
    pub(crate) fn otherwise(&self) -> Option<Self> {
        match (&self.address, self.ssl_mode) {
            (Address::Tcp(..), SslMode::Allow) => Some(self.with(SslMode::Require)),
            (Address::Tcp(..), SslMode::Prefer) => Some(self.with(SslMode::Disable)),
            _ => None,
        }
    }

    fn with(&self, ssl_mode: SslMode) -> Self {
        Self {
            ssl_mode,
            ..self.clone()
        }
    }
}

/// Reads `sslmode`.
fn ssl_mode(settings: &Settings) -> Result<SslMode> {
    let is_system = settings.get("sslrootcert") == Some("system");
    let ssl_mode = one_of(
        settings,
        "sslmode",
        if is_system { "verify-full" } else { "prefer" },
        &[
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ],
    )?;
    if is_system && ssl_mode != SslMode::VerifyFull {
        let why =
            "sslrootcert=system trusts many authorities, and goes with sslmode=verify-full only";
        return Err(settings.refused("sslmode", why));
    }
    Ok(ssl_mode)
}

/// Returns the path of a file in libpq's folder in the user's home, if the file exists.
fn usual(name: &str) -> Option<PathBuf> {
    let path = in_home(".postgresql").map(|folder| folder.join(name));
    path.filter(|path| path.is_file())
}

/// Returns the file of the trusted authorities; `None` if these are the system's.
fn root_certificate(settings: &Settings, ssl_mode: SslMode) -> Result<Option<PathBuf>> {
    let ssl_root_cert = settings
        .get("sslrootcert")
        .map(PathBuf::from)
        .or_else(|| usual("root.crt"))
        .filter(|_| settings.get("sslrootcert") != Some("system"));
    if ssl_mode == SslMode::VerifyCa && ssl_root_cert.is_none() {
        let why = "sslmode=verify-ca looks at no name, and needs an sslrootcert of its own: \
                   with the system's authorities, any certificate would do";
        return Err(settings.refused("sslmode", why));
    }
    if verifies(ssl_root_cert.as_ref(), ssl_mode)
        && let Some(path) = usual("root.crl")
    {
        return Err(Error::configuration(format!(
            "{} lists certificates that were revoked, which industrydb does not look at and libpq does: \
             move it away to read without",
            path.display()
        )));
    }
    Ok(ssl_root_cert)
}

/// Returns whether the server must show a certificate of a trusted authority. As in libpq, it must
/// in every mode if an authority is named.
fn verifies(root_certificate: Option<&PathBuf>, ssl_mode: SslMode) -> bool {
    root_certificate.is_some() || matches!(ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull)
}

/// Returns the paths of the client's certificate and its key, if there are any.
fn client_certificate(settings: &Settings) -> Result<Option<(PathBuf, PathBuf)>> {
    let path = |name: &str| settings.get(name).map(PathBuf::from);
    match (path("sslcert"), path("sslkey")) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => match (usual("postgresql.crt"), usual("postgresql.key")) {
            (Some(certificate), None) => Err(Error::configuration(format!(
                "{} is there, and its key postgresql.key is not",
                certificate.display()
            ))),
            (certificate, key) => Ok(certificate.zip(key)),
        },
        _ => Err(Error::configuration(
            "sslcert and sslkey belong together: a certificate and its key",
        )),
    }
}

/// Reads the settings of TCP keepalive; `None` if `keepalives=0`.
fn keepalive(settings: &Settings) -> Result<Option<TcpKeepalive>> {
    let is_on = settings.number("keepalives", 1, 0..=u64::MAX)? != 0;
    let number = |(name, default, most)| settings.number(name, default, 0..=most);
    let [idle, interval, count] = KEEPALIVE.map(number);
    let (idle, interval, count) = (idle?, interval?, count?);
    // The system's own default applies where an option is 0.
    let mut keepalive = TcpKeepalive::new();
    if idle > 0 {
        keepalive = keepalive.with_time(Duration::from_secs(idle));
    }
    if interval > 0 {
        keepalive = keepalive.with_interval(Duration::from_secs(interval));
    }
    if let Ok(count @ 1..) = u32::try_from(count) {
        keepalive = keepalive.with_retries(count);
    }
    Ok(is_on.then_some(keepalive))
}

/// Returns the choice that an option's value names, or the default.
fn one_of<T: Copy>(
    settings: &Settings,
    option: &str,
    default: &str,
    choices: &[(&str, T)],
) -> Result<T> {
    let text = settings.get(option).unwrap_or(default);
    choices
        .iter()
        .find_map(|(name, choice)| (*name == text).then_some(*choice))
        .ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let why = format!("{option} must be one of {names:?}, not {text:?}");
            settings.refused(option, &why)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str) -> Result<Options> {
        Options::new(&DatabaseConfig::from_uri(uri, &[SCHEME])?)
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
            ("postgresql://ana@db?connect_timeout=1.5", "connect_timeout"),
            (
                "postgresql://ana@?host=/a,/b&port=1,2,3",
                "3 ports are named for 2 hosts",
            ),
            (
                "postgresql://ana@db?connect_timeout=9223372036854775807",
                "connect_timeout",
            ),
            ("postgresql://ana@db?connect_retries=-1", "connect_retries"),
            ("postgresql://ana@db?connect_retries=101", "from 0 to 100"),
            ("postgresql://ana@db?sslcert=a.pem", "belong together"),
            (
                "postgresql://ana@a,b/db?hostaddr=1.2.3.4",
                "2 hosts and 1 addresses",
            ),
            ("postgresql://ana@a:0,b/db", "port must be"),
            (
                "postgresql://ana@a,b/db?target_session_attrs=master",
                "target_session_attrs",
            ),
        ] {
            let message = options(uri).expect_err(uri).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
