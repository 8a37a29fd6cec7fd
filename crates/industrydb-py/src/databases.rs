//! The list of supported databases.

use industrydb_core::config::Scheme;
use industrydb_core::suggest::did_you_mean;
use industrydb_core::{Database, DatabaseConfig, DatabaseConnector, Error, Result};
use pyo3::prelude::*;

use crate::errors::to_python;

/// A supported kind of database.
struct Entry {
    scheme: Scheme,
    /// Whether all partitions of a read share one snapshot.
    shares_snapshots: bool,
    /// Refuses options that the database does not have.
    check_options: fn(&DatabaseConfig) -> Result<()>,
    connector: fn(&DatabaseConfig) -> Result<Box<dyn DatabaseConnector>>,
}

/// All supported databases.
const DATABASES: &[Entry] = &[
    #[cfg(feature = "postgresql")]
    entry::<industrydb_postgres::PostgresConnector>(),
    #[cfg(feature = "sqlite")]
    entry::<industrydb_sqlite::SqliteConnector>(),
    #[cfg(feature = "mssql")]
    entry::<industrydb_mssql::MssqlConnector>(),
    #[cfg(feature = "mysql")]
    entry::<industrydb_mysql::MysqlConnector>(),
];

const fn entry<D: Database>() -> Entry {
    Entry {
        scheme: D::SCHEME,
        shares_snapshots: D::SHARES_SNAPSHOTS,
        check_options: D::check_options,
        connector: |config| Ok(Box::new(D::new(config)?)),
    }
}

/// Returns the URI schemes of all databases.
pub(crate) fn schemes() -> Vec<Scheme> {
    DATABASES.iter().map(|database| database.scheme).collect()
}

/// Parses a URI into a configuration.
pub(crate) fn from_uri(uri: &str) -> Result<DatabaseConfig> {
    DatabaseConfig::from_uri(uri, &schemes())
}

/// Creates the connector for a configuration.
pub(crate) fn connector(config: &DatabaseConfig) -> Result<Box<dyn DatabaseConnector>> {
    (find(config)?.connector)(config)
}

/// Refuses an unknown database, and options that the database does not have.
pub(crate) fn check(config: &DatabaseConfig) -> Result<()> {
    (find(config)?.check_options)(config)
}

/// Returns whether all partitions of a read from a URI share one snapshot of the database.
#[pyfunction]
pub(crate) fn shares_snapshots(py: Python<'_>, uri: &str) -> PyResult<bool> {
    let entry = from_uri(uri).and_then(|config| find(&config));
    let entry = entry.map_err(|error| to_python(py, &error))?;
    Ok(entry.shares_snapshots)
}

fn find(config: &DatabaseConfig) -> Result<&'static Entry> {
    let is_named = |database: &&Entry| database.scheme.name == config.scheme;
    let found = DATABASES.iter().find(is_named);
    found.ok_or_else(|| unknown(&config.scheme))
}

/// Other names by which people call databases of the list.
const NICKNAMES: [(&str, &str); 6] = [
    ("pg", "postgresql"),
    ("psql", "postgresql"),
    ("pgsql", "postgresql"),
    ("sqlite3", "sqlite"),
    ("odbc", "mssql"),
    ("tds", "mssql"),
];

/// Databases that are not in the list, or may have been left out of this build: none is a misspelled
/// name of another one.
const OTHERS: [&str; 14] = [
    "mysql",
    "mariadb",
    "oracle",
    "duckdb",
    "bigquery",
    "snowflake",
    "redshift",
    "clickhouse",
    "trino",
    "presto",
    "db2",
    "databricks",
    "mongodb",
    "cockroachdb",
];

/// Returns the error for the scheme of a database that is not in the list.
fn unknown(scheme: &str) -> Error {
    let kinds: Vec<&str> = DATABASES
        .iter()
        .map(|database| database.scheme.name)
        .collect();
    let nickname = NICKNAMES.iter().find(|(name, _)| *name == scheme);
    let meant = match (nickname, scheme.split_once('+')) {
        (Some((_, name)), _) if kinds.contains(name) => format!(", did you mean {name:?}?"),
        (_, Some((kind, driver))) => format!(
            ": +{driver} names a driver of SQLAlchemy, which is not used here: leave it out, as in {kind}://"
        ),
        _ if OTHERS.contains(&scheme) => ", which industrydb does not read".to_owned(),
        _ => {
            let synonyms = DATABASES
                .iter()
                .flat_map(|database| database.scheme.synonyms);
            let names: Vec<&str> = kinds.iter().chain(synonyms).copied().collect();
            did_you_mean(scheme, &names)
        }
    };
    Error::configuration(format!(
        "unknown database {scheme:?}{meant}; there are {kinds:?}, and a URI begins with one of them"
    ))
}
