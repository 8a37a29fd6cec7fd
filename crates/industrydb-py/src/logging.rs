//! Forwards log messages to Python's `logging`.

use std::cell::Cell;
use std::thread;

use industrydb_core::printable::printable;
use log::{LevelFilter, Log, Metadata, Record};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3_log::{Caching, Logger};

/// Log target of the SQL Server driver, which logs whole packets, also the one with the password,
/// and each row.
const DRIVER: &str = "mssql_tds";

/// Python logger for each crate that logs. A module that moves within its crate keeps its logger.
const LOGGERS: [(&str, &str); 6] = [
    ("industrydb_core", "industrydb.core"),
    ("industrydb_mssql", "industrydb.mssql"),
    ("industrydb_mysql", "industrydb.mysql"),
    ("industrydb_postgres", "industrydb.postgresql"),
    ("industrydb_sqlite", "industrydb.sqlite"),
    ("industrydb", "industrydb"),
];

/// Returns the Python logger for a log target, which is the path of a module.
fn logger(target: &str) -> &str {
    let name = target.split("::").next().unwrap_or_default();
    let found = LOGGERS.iter().find(|(other, _)| *other == name);
    found.map_or(target, |(_, logger)| logger)
}

/// Forwards all messages except the driver's. Asking Python's filters about the driver's messages
/// took a seventh of a read.
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
        let message = printable(&message);
        let (level, target) = (record.level(), logger(record.target()));
        let (module, file, line) = (record.module_path(), record.file(), record.line());
        let forward = || {
            // Attaching panics while Python shuts down, and readers' threads may still log then.
            Python::try_attach(|_| {
                self.0.log(
                    &Record::builder()
                        .level(level)
                        .target(target)
                        .module_path(module)
                        .file(file)
                        .line(line)
                        .args(format_args!("{message}"))
                        .build(),
                );
            });
        };
        if ASIDE.get() {
            thread::scope(|scope| {
                // Without a thread, the message is lost.
                let _ = thread::Builder::new().spawn_scoped(scope, forward);
            });
        } else {
            forward();
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Python's loggers, once the logger that forwards to them is installed.
static INSTALLED: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();

/// Installs the logger that forwards to Python, unless another logger has been installed already.
pub(crate) fn install(py: Python) -> PyResult<()> {
    // Each message asks Python anew, since filters may change.
    let logger = WithoutDriver(Logger::new(py, Caching::Nothing)?);
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        let logging = py.import("logging")?;
        let logger = |(_, name)| {
            logging
                .call_method1("getLogger", (name,))
                .map(Bound::unbind)
        };
        let loggers = LOGGERS.into_iter().map(logger).collect::<PyResult<_>>()?;
        let _ = INSTALLED.set(py, loggers); // a second module would have the same
    }
    look(py)
}

/// Asks Python which messages it takes, at the beginning of each call and during it: a message that
/// nobody takes would wait for the GIL, and cost a small query more than its file. Raises what the
/// handler of a signal raises meanwhile.
pub(crate) fn look(py: Python) -> PyResult<()> {
    const DEBUG: u8 = 10;
    const INFO: u8 = 20;
    let Some(loggers) = INSTALLED.get(py) else {
        return Ok(());
    };
    let takes = |level: u8| {
        for logger in loggers {
            let answer = logger.call_method1(py, intern!(py, "isEnabledFor"), (level,))?;
            if answer.is_truthy(py)? {
                return Ok(true);
            }
        }
        PyResult::Ok(false)
    };
    log::set_max_level(if takes(DEBUG)? {
        LevelFilter::Debug
    } else if takes(INFO)? {
        LevelFilter::Info
    } else {
        LevelFilter::Warn
    });
    Ok(())
}

thread_local! {
    /// Whether another thread forwards the messages of this one.
    static ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread of Python's, without the GIL. Its messages are forwarded by another
/// thread: in this one, Python could run the handler of a signal while it takes a message, and what
/// the handler raises would be lost.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let was = ASIDE.replace(true);
    let result = work();
    ASIDE.set(was);
    result
}
