//! The arguments of a configuration, and what is wrong with others.

use industrydb_core::DatabaseConfig;
use industrydb_core::suggest::did_you_mean;
use pyo3::prelude::*;

use crate::databases::{check, schemes};
use crate::errors::{ConfigurationError, to_python};

/// Names of the arguments that are not options.
pub(crate) const PARTS: [&str; 8] = [
    "host",
    "port",
    "database",
    "username",
    "password",
    "password_command",
    "path",
    "options",
];

/// Names that other libraries have for the arguments.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("db", "database"),
    ("dbname", "database"),
    ("hostname", "host"),
    ("server", "host"),
    ("user", "username"),
    ("uid", "username"),
    ("pwd", "password"),
    ("passwd", "password"),
];

/// Returns the end of a message that suggests an argument for an unknown one.
pub(crate) fn meant(name: &str) -> String {
    match OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        Some((_, argument)) => format!(", did you mean {argument:?}?"),
        None => did_you_mean(name, &PARTS),
    }
}

/// Refuses an unknown kind of database.
pub(crate) fn check_kind(py: Python<'_>, config: &DatabaseConfig) -> PyResult<()> {
    let bare = DatabaseConfig::named(&config.scheme, &schemes());
    check(&bare).map_err(|error| to_python(py, &error))
}

/// Returns the error for an argument that a database of this kind does not have.
pub(crate) fn refused(config: &DatabaseConfig, name: &str) -> PyErr {
    let instead = if config.is_file {
        "a file has a path"
    } else {
        "a server has a host and a database"
    };
    ConfigurationError::new_err(format!(
        "{name:?} is nothing that {} has: {instead}",
        config.scheme
    ))
}
