//! The SQL Server connector: the entry point that industrydb-core calls.

use industrydb_core::config::Scheme;
use industrydb_core::{
    Connection, Database, DatabaseConfig, DatabaseConnector, Described, Request, Result, Stop,
};

use crate::config::options::{Options, SCHEME};
use crate::connection::MssqlConnection;
use crate::read::describe::describe;
use crate::session::connect::Session;

/// Connector to a SQL Server, 2016 or newer.
///
/// # Examples
///
/// ```
/// use industrydb_core::{Database, DatabaseConfig};
/// use industrydb_mssql::MssqlConnector;
///
/// let uri = "mssql://ana:secret@db/sales?encrypt=strict";
/// let config = DatabaseConfig::from_uri(uri, &[MssqlConnector::SCHEME])?;
/// MssqlConnector::new(&config)?;
/// # Ok::<(), industrydb_core::Error>(())
/// ```
pub struct MssqlConnector {
    options: Options,
}

impl Database for MssqlConnector {
    const SCHEME: Scheme = SCHEME;
    const SHARES_SNAPSHOTS: bool = false;

    fn check_options(config: &DatabaseConfig) -> Result<()> {
        Options::check_names(config)
    }

    fn new(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            options: Options::new(config)?,
        })
    }
}

impl DatabaseConnector for MssqlConnector {
    fn connect(&self, stop: &Stop) -> Result<Box<dyn Connection>> {
        let session = Session::open(&self.options, &[], stop)?;
        Ok(Box::new(MssqlConnection {
            session,
            options: self.options.clone(),
        }))
    }

    fn describe(&self, request: &Request, stop: &Stop) -> Result<Described> {
        describe(&self.options, request, stop)
    }
}
