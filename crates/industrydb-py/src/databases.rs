//! The one list of databases.

use industrydb_core::suggest::did_you_mean;
use industrydb_core::{DatabaseConfig, DatabaseConnector, Error, Result};
use industrydb_mssql::MssqlConnector;
use industrydb_postgres::PostgresConnector;
use industrydb_sqlite::SqliteConnector;

const KINDS: [&str; 3] = ["postgresql", "sqlite", "mssql"];

/// The connector that a configuration names.
pub(crate) fn connector(config: &DatabaseConfig) -> Result<Box<dyn DatabaseConnector>> {
    Ok(match config.scheme.as_str() {
        "postgresql" => Box::new(PostgresConnector::new(config)?),
        "sqlite" => Box::new(SqliteConnector::new(config)?),
        "mssql" => Box::new(MssqlConnector::new(config)?),
        other => return Err(unknown(other)),
    })
}

/// Refuses databases that are not known, and options that they do not have.
pub(crate) fn check(config: &DatabaseConfig) -> Result<()> {
    match config.scheme.as_str() {
        "postgresql" => PostgresConnector::check_options(config),
        "sqlite" => SqliteConnector::check_options(config),
        "mssql" => MssqlConnector::check_options(config),
        other => Err(unknown(other)),
    }
}

fn unknown(kind: &str) -> Error {
    Error::configuration(format!(
        "unknown database {kind:?}{}; there are {KINDS:?}, and a URI begins with one of them",
        did_you_mean(kind, &KINDS)
    ))
}
