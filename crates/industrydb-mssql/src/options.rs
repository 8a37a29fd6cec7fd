//! What the parts of a URI mean to SQL Server.

use std::path::PathBuf;

use industrydb_core::{DatabaseConfig, Error, Result, Secret};
use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::core::{EncryptionOptions, EncryptionSetting};

const DEFAULT_PORT: u16 = 1433;

/// Seconds that connecting and logging in may take unless `connect_timeout` says otherwise.
const DEFAULT_CONNECT_TIMEOUT: u32 = 10;

/// The largest packets that the protocol has: fewer of them are fewer reads.
const PACKET_BYTES: u16 = 32_767;

const KNOWN: [&str; 7] = [
    "application_name",
    "connect_timeout",
    "encrypt",
    "host_name_in_certificate",
    "instance",
    "server_certificate",
    "trust_server_certificate",
];

#[derive(Debug, Clone)]
pub(crate) struct Options {
    host: String,
    port: Option<u16>,
    instance: Option<String>,
    user: String,
    password: Option<Secret>,
    database: String,
    application_name: String,
    connect_timeout: u32,
    encryption: EncryptionSetting,
    trust_server_certificate: bool,
    host_name_in_certificate: Option<String>,
    server_certificate: Option<PathBuf>,
}

impl Options {
    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        for name in config.options.keys() {
            if !KNOWN.contains(&name.as_str()) {
                return Err(Error::configuration(format!(
                    "unknown option {name:?} in the SQL Server URI; known are {KNOWN:?}, host, port, user, \
                     password and dbname"
                )));
            }
        }
        let option = |name: &str| config.options.get(name).cloned();
        let user = config.user.clone().ok_or_else(|| {
            Error::configuration("the SQL Server URI names no user: mssql://user:password@host/db")
        })?;
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
        let trust_server_certificate = match option("trust_server_certificate").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(Error::configuration(format!(
                    "trust_server_certificate must be true or false, not {other:?}"
                )));
            }
        };
        Ok(Self {
            host: config
                .host
                .clone()
                .unwrap_or_else(|| "localhost".to_owned()),
            port: config.port,
            instance: option("instance"),
            user,
            password: config.password.clone(),
            database: config.database.clone().unwrap_or_default(),
            application_name: option("application_name").unwrap_or_else(|| "industrydb".to_owned()),
            connect_timeout,
            encryption,
            trust_server_certificate,
            host_name_in_certificate: option("host_name_in_certificate"),
            server_certificate: option("server_certificate").map(PathBuf::from),
        })
    }

    /// The server, for messages.
    pub(crate) fn server(&self) -> String {
        match (&self.instance, self.port) {
            (Some(instance), None) => format!("{}\\{instance}", self.host),
            (_, port) => format!("{}:{}", self.host, port.unwrap_or(DEFAULT_PORT)),
        }
    }

    /// The server, as the driver finds it.
    pub(crate) fn data_source(&self) -> String {
        match (&self.instance, self.port) {
            // The browser service tells the port of a named instance.
            (Some(instance), None) => format!("tcp:{}\\{instance}", self.host),
            (_, port) => format!("tcp:{},{}", self.host, port.unwrap_or(DEFAULT_PORT)),
        }
    }

    /// What the driver logs in with.
    pub(crate) fn context(&self) -> ClientContext {
        let mut context = ClientContext::with_data_source(&self.data_source());
        context.user_name.clone_from(&self.user);
        if let Some(password) = &self.password {
            password.reveal().clone_into(&mut context.password);
        }
        context.database.clone_from(&self.database);
        context.application_name.clone_from(&self.application_name);
        context.connect_timeout = self.connect_timeout;
        context.login_timeout = Some(self.connect_timeout);
        context.connect_retry_count = 0; // a session that broke is not mended silently
        context.packet_size = PACKET_BYTES;
        context.encryption_options = EncryptionOptions {
            mode: self.encryption,
            trust_server_certificate: self.trust_server_certificate,
            host_name_in_cert: self.host_name_in_certificate.clone(),
            server_certificate: self.server_certificate.clone(),
        };
        context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str) -> Result<Options> {
        Options::new(&DatabaseConfig::from_uri(uri)?)
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
    fn unknown_options_and_values_are_refused_by_name() {
        for (uri, name) in [
            ("mssql://sa@db?encrpyt=true", "encrpyt"),
            ("mssql://sa@db?encrypt=maybe", "maybe"),
            ("mssql://sa@db?trust_server_certificate=1", "trust"),
            ("mssql://sa@db?connect_timeout=0", "connect_timeout"),
            ("mssql://db/sales", "user"),
        ] {
            let error = options(uri).expect_err(uri).to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
