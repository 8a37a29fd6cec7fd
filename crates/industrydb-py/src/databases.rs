//! The one list of databases.

use industrydb_core::{DatabaseConfig, DatabaseConnector, Error, Result};
use industrydb_mssql::MssqlConnector;
use industrydb_postgres::PostgresConnector;
use industrydb_sqlite::SqliteConnector;

/// The connector that a URI's scheme names.
pub(crate) fn connector(uri: &str) -> Result<Box<dyn DatabaseConnector>> {
    let config = DatabaseConfig::from_uri(uri)?;
    Ok(match config.scheme.as_str() {
        "postgresql" | "postgres" => Box::new(PostgresConnector::new(&config)?),
        "sqlite" => Box::new(SqliteConnector::new(&config)?),
        "mssql" | "sqlserver" => Box::new(MssqlConnector::new(&config)?),
        other => {
            return Err(Error::configuration(format!(
                "unknown database {other:?}: a URI begins with postgresql://, sqlite:// or mssql://"
            )));
        }
    })
}
