//! Messages on their way to Python's `logging`.

use industrydb_core::printable::printable;
use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger};

/// The driver logs whole packets, also the one with the password, and each row.
const DRIVER: &str = "mssql_tds";

/// Everything but the driver's messages. To find out about them with Python's filters took a seventh of a read.
struct WithoutDriver(Logger);

impl Log for WithoutDriver {
    fn enabled(&self, metadata: &Metadata) -> bool {
        !metadata.target().starts_with(DRIVER) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if record.target().starts_with(DRIVER) {
            return;
        }
        let message = record.args().to_string();
        self.0.log(
            &Record::builder()
                .metadata(record.metadata().clone())
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
