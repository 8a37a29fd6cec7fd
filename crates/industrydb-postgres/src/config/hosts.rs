//! The servers that the options name. A session uses the first that can be reached and is of the
//! wanted kind, as in libpq:
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS>

use std::path::PathBuf;

use industrydb_core::net::address::Address;
use industrydb_core::{Error, Result};

use crate::config::settings::Settings;

const DEFAULT_PORT: u16 = 5432;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) address: Address,
    /// Address to connect to instead of the host's. TLS still verifies the host's name.
    pub(crate) host_address: Option<String>,
}

/// Kind of server that a session needs, as libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl Wanted {
    /// Names of the kinds.
    pub(crate) const NAMES: [(&str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];

    /// Returns the kinds to search all servers for, one after the other.
    pub(crate) fn in_turn(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// Returns whether a server in this state is of the kind.
    pub(crate) fn is(self, in_recovery: bool, read_only: bool) -> bool {
        match self {
            Self::Any | Self::PreferStandby => true,
            Self::ReadWrite => !read_only,
            Self::ReadOnly => read_only,
            Self::Primary => !in_recovery,
            Self::Standby => in_recovery,
        }
    }
}

/// Reads `host`, `hostaddr` and `port`, which may be lists of the same length; one port is that of
/// all hosts.
pub(crate) fn hosts(settings: &Settings) -> Result<Vec<Host>> {
    let list = |name: &str| -> Vec<String> {
        let value = settings.get(name).unwrap_or_default();
        value
            .split(',')
            .map(|part| part.trim().to_owned())
            .collect()
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let has_addresses = settings.get("hostaddr").is_some();
    if has_addresses && settings.get("host").is_some() && hosts.len() != addresses.len() {
        let why = format!(
            "{} hosts and {} addresses are named: each host needs its own",
            hosts.len(),
            addresses.len()
        );
        return Err(settings.refused("hostaddr", &why));
    }
    let count = hosts.len().max(addresses.len());
    if ports.len() > 1 && ports.len() != count {
        let why = format!(
            "{} ports are named for {count} hosts: one for all, or each its own",
            ports.len()
        );
        return Err(settings.refused("port", &why));
    }
    let element =
        |list: &[String], index: usize| list.get(index).filter(|part| !part.is_empty()).cloned();
    let host = |index: usize| {
        let port = match element(&ports, if ports.len() > 1 { index } else { 0 }) {
            None => DEFAULT_PORT,
            Some(port) => parsed(settings, &port)?,
        };
        let host_address = element(&addresses, index);
        let host = element(&hosts, index)
            .or_else(|| host_address.clone())
            .unwrap_or_else(|| "localhost".to_owned());
        let address = if host.starts_with('/') && host_address.is_none() {
            Address::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))
        } else {
            Address::Tcp(host, port)
        };
        Ok(Host {
            address,
            host_address,
        })
    };
    (0..count).map(host).collect()
}

fn parsed(settings: &Settings, port: &str) -> Result<u16> {
    let number = port.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        let why = format!("port must be a whole number from 1 to 65535, not {port:?}");
        settings.refused("port", &why)
    })
}

/// Joins the errors of all servers.
pub(crate) fn none_will_do(errors: &[Error]) -> Error {
    let is_transient = errors.iter().any(Error::is_transient);
    let told: Vec<String> = errors.iter().map(Error::to_string).collect();
    Error::Connection {
        message: format!("none of the hosts will do: {}", told.join("; ")),
        code: None,
        is_transient,
    }
}
