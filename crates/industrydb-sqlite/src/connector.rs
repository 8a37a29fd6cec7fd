//! The connector, through which the core uses this crate.

use industrydb_core::config::Scheme;
use industrydb_core::{
    Connection, Database, DatabaseConfig, DatabaseConnector, Described, Holder, Request, Result,
    Stop,
};

use crate::config::options::{Options, SCHEME};
use crate::connection::SqliteConnection;
use crate::read::describe::describe;

/// Connector for one SQLite file or in-memory database.
///
/// # Examples
///
/// ```
/// use industrydb_core::{Database, DatabaseConfig};
/// use industrydb_sqlite::SqliteConnector;
///
/// SqliteConnector::new(&DatabaseConfig::from_uri("sqlite:///data/sales.db", &[SqliteConnector::SCHEME])?)?;
/// # Ok::<(), industrydb_core::Error>(())
/// ```
pub struct SqliteConnector {
    options: Options,
}

impl Database for SqliteConnector {
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

impl DatabaseConnector for SqliteConnector {
    fn connect(&self, stop: &Stop) -> Result<Box<dyn Connection>> {
        Ok(Box::new(SqliteConnection::new(
            self.options.open_to_write(stop)?,
        )))
    }

    fn holder(&self) -> Option<&dyn Holder> {
        Some(&self.options)
    }

    fn checks_often(&self) -> bool {
        true
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described> {
        describe(&self.options, request, stop)
    }
}
