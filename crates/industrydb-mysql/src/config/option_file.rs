//! The user's option file, `~/.my.cnf`, by the rules of MySQL's own clients.
//!
//! <https://dev.mysql.com/doc/refman/8.4/en/option-files.html>

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use industrydb_core::file::read_file;
use industrydb_core::{DatabaseConfig, Secret};

/// Group of the options that are for all clients.
const GROUP: &str = "client";

/// Options of a URI that the file may have too, under the same names.
const SHARED: [&str; 7] = [
    "connect_timeout",
    "get-server-public-key",
    "server-public-key-path",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
];

/// Completes a configuration by the user's option file.
pub(crate) fn completed(config: DatabaseConfig) -> DatabaseConfig {
    let path = env::home_dir().map(|home| home.join(".my.cnf"));
    let Some(path) = path.filter(|path| path.exists()) else {
        return config;
    };
    if is_writable_by_all(&path) {
        log::warn!("{} is ignored: everybody may write to it", path.display());
        return config;
    }
    match read_file(&path) {
        Ok(bytes) => with(config, client_options(&String::from_utf8_lossy(&bytes))),
        Err(error) => {
            log::warn!("{} is ignored: {error}", path.display());
            config
        }
    }
}

/// Adds the file's options to those that are given, which come first. The server's place is that of
/// the file only if none is given, and the password only if the user is not another one.
fn with(mut config: DatabaseConfig, mut file: BTreeMap<String, String>) -> DatabaseConfig {
    let mut take = |name: &str| file.remove(name).filter(|value| !value.is_empty());
    let (host, port, socket) = (take("host"), take("port"), take("socket"));
    if config.host.is_none() && !config.options.contains_key("unix_socket") {
        config.host = host;
        config.port = config.port.or(port.and_then(|port| port.parse().ok()));
        if config.host.is_none()
            && let Some(socket) = socket
        {
            config.options.insert("unix_socket".to_owned(), socket);
        }
    }
    let (user, password) = (take("user"), take("password"));
    config.user = config.user.or(user.clone());
    if user.is_none() || user == config.user {
        config.password = config.password.or(password.map(Secret::new));
    }
    config.database = config.database.or(take("database"));
    for name in SHARED {
        if let Some(value) = take(&name.replace('_', "-")) {
            config.options.entry(name.to_owned()).or_insert(value);
        }
    }
    config
}

/// Returns the options of the group of all clients, by their names with `-`. An option without a
/// value is switched on.
fn client_options(text: &str) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    let mut is_own = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(group) = line.strip_prefix('[') {
            is_own = group.split(']').next().map(str::trim) == Some(GROUP);
        } else if is_own {
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name, value_of(value)),
                None if line == "password" => continue, // asks at the terminal
                None => (line, "true".to_owned()),
            };
            // The last one of several counts.
            options.insert(name.trim().replace('_', "-"), value);
        }
    }
    options
}

/// Returns a value without quotes, blanks and a comment around it, and with its escapes replaced.
fn value_of(written: &str) -> String {
    let written = written.trim();
    let inner = match written.chars().next() {
        Some(quote @ ('"' | '\'')) => written[1..].rsplit_once(quote).map(|(inner, _)| inner),
        _ => written.split(" #").next().map(str::trim_end),
    };
    let mut value = String::new();
    let mut characters = inner.unwrap_or(written).chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        match characters.next() {
            Some('b') => value.push('\u{8}'),
            Some('t') => value.push('\t'),
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some('s') => value.push(' '),
            Some(quoted @ ('\\' | '"' | '\'')) => value.push(quoted),
            other => value.extend(std::iter::once('\\').chain(other)),
        }
    }
    value
}

#[cfg(unix)]
fn is_writable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.metadata().is_ok_and(|found| found.mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn is_writable_by_all(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::SCHEME;

    #[test]
    fn the_clients_group_is_read_by_the_servers_rules() {
        let text = "[mysqld]\nuser=mysql\n# user=x\n[client]\n; user=y\n user = ana # the user\npassword = \" a\\\"b # \\\\s\"\n\
                    ssl_mode='VERIFY_CA'\nget-server-public-key\n!include /x\nport=1\nport=2\nhost=\\sdb\\q\n[mysql]\nuser=z\n";
        let found = client_options(text);
        let expected = [
            ("get-server-public-key", "true"),
            ("host", " db\\q"),
            ("password", " a\"b # \\s"),
            ("port", "2"),
            ("ssl-mode", "VERIFY_CA"),
            ("user", "ana"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, expected.into());
        assert!(client_options("[client]\npassword\n").is_empty());
    }

    #[test]
    fn what_is_given_comes_before_the_file() {
        let file = "[client]\nuser=bob\npassword=hunter2\nhost=far\nport=7\nsocket=/s\nssl-mode=required\nconnect-timeout=3\n";
        let completed = |uri: &str| {
            let config = DatabaseConfig::from_uri(uri, &[SCHEME]).expect(uri);
            with(config, client_options(file))
        };
        let found = completed("mysql://ana@near/shop?ssl-mode=disabled");
        assert_eq!(found.user.as_deref(), Some("ana"));
        assert!(found.password.is_none());
        assert_eq!((found.host.as_deref(), found.port), (Some("near"), None));
        assert_eq!(found.options["ssl-mode"], "disabled");
        assert_eq!(found.options["connect_timeout"], "3");
        let found = completed("mysql:///shop");
        assert_eq!(found.user.as_deref(), Some("bob"));
        assert!(found.password.is_some());
        assert_eq!((found.host.as_deref(), found.port), (Some("far"), Some(7)));
        assert!(!found.options.contains_key("unix_socket"));
    }
}
