//! The connector: the entry point that industrydb-core calls.

use industrydb_core::config::Scheme;
use industrydb_core::{
    Connection, Database, DatabaseConfig, DatabaseConnector, Described, Request, Result, Stop,
};

use crate::config::options::{Options, SCHEME};
use crate::connection::MysqlConnection;
use crate::read::describe::describe;
use crate::session::connect::Session;

/// A MySQL server, version 8 or newer, or a MariaDB server, version 10.6 or newer.
///
/// # Examples
///
/// ```
/// use industrydb_core::{Database, DatabaseConfig};
/// use industrydb_mysql::MysqlConnector;
///
/// let uri = "mysql://ana@db/sales?ssl-mode=required";
/// let config = DatabaseConfig::from_uri(uri, &[MysqlConnector::SCHEME])?;
/// MysqlConnector::new(&config)?;
/// # Ok::<(), industrydb_core::Error>(())
/// ```
pub struct MysqlConnector {
    options: Options,
}

impl Database for MysqlConnector {
    const SCHEME: Scheme = SCHEME;
    const SHARES_SNAPSHOTS: bool = true;

    fn check_options(config: &DatabaseConfig) -> Result<()> {
        Options::check_names(config)
    }

    fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for MysqlConnector {
    fn connect(&self, stop: &Stop) -> Result<Box<dyn Connection>> {
        let session = Session::open(&self.options, stop)?;
        Ok(Box::new(MysqlConnection(session)))
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described> {
        describe(&self.options, request, stop)
    }
}
