//! Messages on their way to Python's `logging`.

use industrydb_core::printable::printable;
use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger};

/// The driver logs whole packets, also the one with the password, and each row.
const DRIVER: &str = "mssql_tds";

/// The loggers by the crates that log. A file that moves within its crate renames none.
const LOGGERS: [(&str, &str); 5] = [
    ("industrydb_core", "industrydb.core"),
    ("industrydb_mssql", "industrydb.mssql"),
    ("industrydb_postgres", "industrydb.postgresql"),
    ("industrydb_sqlite", "industrydb.sqlite"),
    ("industrydb", "industrydb"),
];

/// The logger of a target, which is the path of a module.
fn logger(target: &str) -> &str {
    let name = target.split("::").next().unwrap_or_default();
    let found = LOGGERS.iter().find(|(other, _)| *other == name);
    found.map_or(target, |(_, logger)| logger)
}

/// Everything but the driver's messages. To find out about them with Python's filters took a
/// seventh of a read.
struct WithoutDriver(Logger);

impl Log for WithoutDriver {
    fn enabled(&self, metadata: &Metadata) -> bool {
        let target = metadata.target();
        let named = Metadata::builder()
            .level(metadata.level())
            .target(logger(target))
            .build();
        !target.starts_with(DRIVER) && self.0.enabled(&named)
    }

    fn log(&self, record: &Record) {
        if record.target().starts_with(DRIVER) {
            return;
        }
        let message = record.args().to_string();
        self.0.log(
            &Record::builder()
                .level(record.level())
                .target(logger(record.target()))
                .module_path(record.module_path())
                .file(record.file())
                .line(record.line())
                .args(format_args!("{}", printable(&message)))
                .build(),
        );
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Sends messages to Python. Where another logger has been installed, that one gets them.
pub(crate) fn install(py: Python) -> PyResult<()> {
    // Levels are asked for each time: logging may be turned on after the first read.
    let logger = WithoutDriver(Logger::new(py, Caching::Nothing)?);
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
    Ok(())
}
