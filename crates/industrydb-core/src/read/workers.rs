//! Worker threads, during whose work the calling thread waits and can be interrupted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{mem, process};

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::base::error::{Error, Result};
use crate::base::stop::{Stop, TICK};

/// Runs `work` for each index on up to `workers` threads, which take the indices in their order. A
/// thread that finds no index left calls `retire`. A single index is worked on by the calling
/// thread, without `retire`.
pub(crate) fn on_workers(
    indices: &[usize],
    workers: usize,
    work: impl Fn(usize) + Sync,
    retire: impl Fn() + Sync,
) -> Result<()> {
    if let [index] = *indices {
        work(index);
        return Ok(());
    }
    let workers = indices.len().min(workers);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .thread_name(|index| format!("industrydb-{index}"))
        .start_handler(|_| yield_to_server())
        .build()
        .map_err(|error| Error::Internal(format!("cannot start worker threads: {error}")))?;
    let next = AtomicUsize::new(0);
    let (next, work, retire) = (&next, &work, &retire);
    pool.in_place_scope_fifo(|scope| {
        for _ in 0..workers {
            scope.spawn_fifo(move |_| {
                while let Some(index) = indices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(*index);
                }
                retire();
            });
        }
    });
    Ok(())
}

/// Lets a server on the same machine go on running when it has sent something, instead of waking
/// this thread for every few kilobytes: this saves nine of ten context switches, and up to a tenth
/// of a read's time.
pub(crate) fn yield_to_server() {
    system::schedule(0, system::BATCH);
}

#[cfg(target_os = "linux")]
mod system {
    use libc::{c_int, pid_t};

    pub(super) const BATCH: c_int = libc::SCHED_BATCH;
    pub(super) const USUAL: c_int = libc::SCHED_OTHER;

    /// Sets the policy by which a thread of this process is scheduled; 0 is the calling thread.
    pub(super) fn schedule(thread: pid_t, policy: c_int) {
        // SAFETY: the call reads the parameters, which outlive it. If it is refused, the thread
        // goes on as it was.
        unsafe {
            let mut parameters: libc::sched_param = std::mem::zeroed();
            parameters.sched_priority = 0;
            libc::sched_setscheduler(thread, policy, &raw const parameters);
        }
    }

    pub(super) fn this_thread() -> pid_t {
        // SAFETY: the call has no arguments and cannot fail.
        unsafe { libc::gettid() }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) const BATCH: i32 = 0;
    pub(super) const USUAL: i32 = 0;

    pub(super) fn schedule(_thread: i32, _policy: i32) {}

    pub(super) fn this_thread() -> i32 {
        0
    }
}

/// Thread that does the work of one call after the other. To wake a thread takes a fraction of the
/// time to start one, which is most of the time of a small query.
struct Helper {
    pool: rayon::ThreadPool,
    thread: i32,
    /// Process that has started the thread; a forked process does not have it.
    process: u32,
}

/// Helpers without work.
static IDLE: Mutex<Vec<Helper>> = Mutex::new(Vec::new());

impl Helper {
    /// Largest number of threads that are kept for later calls.
    const MOST_IDLE: usize = 4;

    /// Takes an idle helper, or starts one. The list may be locked for ever in a forked process,
    /// which then starts a helper for each call.
    fn take() -> Result<Self> {
        let idle = IDLE.try_lock().ok().and_then(|mut idle| idle.pop());
        if let Some(helper) = idle {
            if helper.process == process::id() {
                return Ok(helper);
            }
            mem::forget(helper);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|_| "industrydb-call".to_owned())
            .build()
            .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            thread: pool.install(system::this_thread),
            pool,
            process: process::id(),
        })
    }

    /// Keeps the helper for later calls.
    fn give_back(self) {
        if let Ok(mut idle) = IDLE.try_lock()
            && idle.len() < Self::MOST_IDLE
        {
            idle.push(self);
        }
    }
}

/// Runs `work` on the calling thread.
///
/// # Errors
///
/// The error of `work`; [`Error::Internal`] if it panicked.
pub fn in_place<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked())
}

fn panicked<T>() -> Result<T> {
    Err(Error::Internal("a worker thread panicked".to_owned()))
}

/// Runs `work` on another thread, if it cannot check the signal often enough for this one, which
/// checks it meanwhile.
///
/// # Errors
///
/// As for [`interruptible`].
pub fn beside<T: Send>(stop: &Stop, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    interruptible(stop, None, || stop.check().is_ok(), work)
}

/// Runs `work` on another thread. Meanwhile the calling thread calls `tick` about 20 times a
/// second, and sets `stop` once `tick` returns `false` or the timeout is over.
///
/// # Errors
///
/// The error of `work`; [`Error::Timeout`] if `work` fails after the timeout; [`Error::Internal`]
/// if it panicked.
pub fn interruptible<T: Send>(
    stop: &Stop,
    timeout: Option<Duration>,
    tick: impl Fn() -> bool,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let helper = Helper::take()?;
    let (done, finished) = bounded(1);
    let started = Instant::now();
    let left = || timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
    let is_over = || left() == Some(Duration::ZERO);
    let (mut was_over, mut yields) = (false, false);
    let result = helper.pool.in_place_scope(|scope| {
        scope.spawn(move |_| {
            let _ = done.send(in_place(work)); // the receiver waits below
        });
        loop {
            let wait = left().filter(|_| !was_over).unwrap_or(TICK).min(TICK);
            match finished.recv_timeout(wait) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return panicked(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // A thread that yields to servers is woken later, which a small query would feel.
            if !mem::replace(&mut yields, true) {
                system::schedule(helper.thread, system::BATCH);
            }
            was_over |= is_over();
            if was_over || !tick() {
                stop.set();
            }
        }
    });
    if yields {
        system::schedule(helper.thread, system::USUAL);
    }
    helper.give_back();
    match (result, timeout) {
        (Err(_), Some(timeout)) if was_over => {
            Err(Error::timed_out(timeout, stop.wait().as_deref()))
        }
        (result, _) => result,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    fn call<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        interruptible(&Stop::default(), None, || true, work)
    }

    /// A call that takes longer than a tick yields to servers, and the next one on its thread does
    /// not.
    #[cfg(target_os = "linux")]
    #[test]
    fn long_calls_yield_to_servers() {
        // SAFETY: the call reads nothing and concerns this thread alone.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        for _ in 0..2 {
            let policies = call(|| {
                let (first, started) = (policy(), Instant::now());
                while policy() == first && started.elapsed() < Duration::from_secs(60) {
                    thread::yield_now();
                }
                Ok((first, policy()))
            });
            let policies = policies.expect("a thread");
            assert_eq!(policies, (system::USUAL, system::BATCH));
        }
    }

    /// Calls that follow one another share threads, those within one another do not, and a panic
    /// ends one call only.
    #[test]
    fn threads_are_kept_for_later_calls() {
        let id = || call(|| Ok(thread::current().id()));
        // Other tests of this process may take the threads in between.
        let ids: HashSet<_> = (0..50).map(|_| id().expect("a thread")).collect();
        assert!(ids.len() < 25, "{ids:?}");
        assert!(!ids.contains(&thread::current().id()));
        let nested = call(|| Ok((thread::current().id(), id()?))).expect("two threads");
        assert_ne!(nested.0, nested.1);
        for _ in 0..10 {
            let failed: Result<()> = call(|| panic!("on purpose"));
            assert!(matches!(failed, Err(Error::Internal(_))), "{failed:?}");
            assert!(id().is_ok());
        }
    }
}
