//! Interrupts a connection's statements once the work is to stop.

use std::ffi::{c_int, c_void};
use std::time::Duration;
use std::{ptr, thread};

use industrydb_core::Stop;
use industrydb_core::stop::Told;
use rusqlite::{Connection, ffi};

use super::handle;

/// Number of bytecode instructions between two checks of the stop flag, which other threads set:
/// some microseconds' worth. They also interrupt the statement.
const STEPS_BETWEEN_CHECKS: c_int = 10_000;

/// The same where only the checks look for what may end the statement: an instruction may have to
/// read a page from a slow disk.
const STEPS_BETWEEN_LOOKS: c_int = 100;

/// Pause before a lock is tried again.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// A guard that ends a connection's statements, and their waits for a lock, once the stop flag is
/// set.
pub(crate) struct Watch<'c> {
    connection: &'c Connection,
    /// Registered callback that interrupts instructions which call no handler, such as the count of
    /// a whole table.
    told: Option<Told>,
    /// State that the handlers read.
    state: Box<Watched>,
}

/// A connection that another thread may interrupt.
struct Interrupted(*mut ffi::sqlite3);

// SAFETY: the handle is used only for `sqlite3_interrupt`, which may be called from any thread
// while the connection is open; `Watch` is dropped before the connection is closed.
unsafe impl Send for Interrupted {}

impl Interrupted {
    fn interrupt(&self) {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_interrupt(self.0) }
    }
}

struct Watched {
    stop: Stop,
    /// The connection's own lock timeout; `None` if its busy handler is left in place.
    busy_timeout: Option<Duration>,
}

impl<'c> Watch<'c> {
    pub(crate) fn new(connection: &'c Connection, stop: &Stop) -> Self {
        Self::of(connection, stop, true)
    }

    /// Watches a connection. With `waits`, the connection's own busy handler is replaced.
    pub(crate) fn of(connection: &'c Connection, stop: &Stop, waits: bool) -> Self {
        let busy_timeout = waits.then(|| busy_timeout(connection));
        Self::with_timeout(connection, stop, busy_timeout)
    }

    /// Watches a connection whose lock timeout is known; `None` leaves its own busy handler in
    /// place.
    pub(super) fn with_timeout(
        connection: &'c Connection,
        stop: &Stop,
        busy_timeout: Option<Duration>,
    ) -> Self {
        let state = Box::new(Watched {
            stop: stop.clone(),
            busy_timeout,
        });
        let looked_at: *const Watched = &raw const *state;
        let connection_handle = handle(connection);
        let steps = if stop.looks_here() {
            STEPS_BETWEEN_LOOKS
        } else {
            STEPS_BETWEEN_CHECKS
        };
        // SAFETY: the handlers are removed in `drop`, before the box that they read is freed.
        unsafe {
            ffi::sqlite3_progress_handler(
                connection_handle,
                steps,
                Some(is_stopped),
                looked_at.cast_mut().cast(),
            );
            if busy_timeout.is_some() {
                ffi::sqlite3_busy_handler(
                    connection_handle,
                    Some(is_waited_for),
                    looked_at.cast_mut().cast(),
                );
            }
        }
        let interrupted = Interrupted(connection_handle);
        let told = stop.tell(move || interrupted.interrupt());
        Self {
            connection,
            told: Some(told),
            state,
        }
    }
}

impl Watch<'_> {
    /// Returns the connection's own lock timeout; `None` if it was left in place.
    pub(super) fn busy_timeout(&self) -> Option<Duration> {
        self.state.busy_timeout
    }

    /// Returns whether the work is to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.state.stop.is_set()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.told = None;
        // SAFETY: the connection outlives this guard, which borrows it.
        unsafe {
            ffi::sqlite3_progress_handler(handle(self.connection), 0, None, ptr::null_mut());
        }
        if let Some(time) = self.state.busy_timeout {
            let _ = self.connection.busy_timeout(time); // it only stores a number
        }
    }
}

/// Progress handler, which SQLite calls while a statement runs; a result other than zero ends the
/// statement.
unsafe extern "C" fn is_stopped(flag: *mut c_void) -> c_int {
    // SAFETY: `Watch` keeps the state alive as long as the handler is registered.
    let watched = unsafe { &*flag.cast::<Watched>() };
    c_int::from(watched.stop.check().is_err())
}

/// Busy handler, which SQLite calls when a lock is not free, with the number of earlier calls for
/// this lock; with the result zero, SQLite gives up.
unsafe extern "C" fn is_waited_for(watched: *mut c_void, times: c_int) -> c_int {
    // SAFETY: as in `is_stopped`.
    let watched = unsafe { &*watched.cast::<Watched>() };
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    if watched.stop.check().is_err()
        || LOCK_POLL.saturating_mul(times) >= watched.busy_timeout.unwrap_or_default()
    {
        return 0;
    }
    thread::sleep(LOCK_POLL);
    1
}

/// Returns how long a connection waits for a lock.
pub(crate) fn busy_timeout(connection: &Connection) -> Duration {
    let milliseconds = connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0));
    Duration::from_millis(milliseconds.unwrap_or_default().into())
}
