//! Runs the driver's asynchronous work on this thread, until it ends or is stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use industrydb_core::{Error, Result, Stop};
use mssql_tds::core::CancelHandle;
use tokio::runtime::{Builder, Runtime};

/// Interval between two checks of the stop flag.
const POLL: Duration = Duration::from_millis(50);

/// Time limit for the server to confirm a cancellation, which has been sent in any case.
const PATIENCE: Duration = Duration::from_millis(500);

/// A runtime that is dropped without waiting for its tasks: the system's look-up of a host name
/// cannot be cancelled.
pub(crate) struct Background(Option<Runtime>);

impl Background {
    pub(crate) fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed = |error| Error::Internal(format!("cannot start a runtime: {error}"));
        runtime.map(|runtime| Self(Some(runtime))).map_err(failed)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs the driver's work on this thread, and cancels it once `stop` is set.
pub(crate) fn watched<T>(
    runtime: &Background,
    stop: &Stop,
    work: impl AsyncFnOnce(&CancelHandle) -> Result<T>,
) -> Result<T> {
    stop.check()?;
    let cancel = CancelHandle::new();
    let guarded = async {
        let stopped = async {
            while !stop.is_set() {
                tokio::time::sleep(POLL).await;
            }
            cancel.cancel();
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            result = work(&cancel) => result,
            () = stopped => Err(Error::Interrupted),
        }
    };
    // A panic in the driver must not take the process down.
    let result = catch_unwind(AssertUnwindSafe(|| match &runtime.0 {
        Some(runtime) => runtime.block_on(guarded),
        None => Err(Error::Internal("the runtime has ended".to_owned())),
    }));
    match result {
        Ok(Err(_)) if stop.is_set() => Err(Error::Interrupted),
        Ok(result) => result,
        Err(panic) => Err(Error::connection(format!(
            "the SQL Server driver gave up on what the server sent: {}",
            panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given")
        ))),
    }
}
