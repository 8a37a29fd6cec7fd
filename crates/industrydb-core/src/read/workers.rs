//! Worker threads, during whose work the calling thread waits and can be interrupted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;

/// Time between two checks of the calling thread for signals.
pub(crate) const TICK: Duration = Duration::from_millis(50);

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
/// the reader for every few kilobytes: this saves nine of ten context switches, and up to a tenth
/// of a read's time.
#[cfg(target_os = "linux")]
pub(crate) fn yield_to_server() {
    // SAFETY: the call reads the parameters, which outlive it, and concerns this thread alone. If
    // the call is refused, the thread goes on as it was.
    unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = 0;
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn yield_to_server() {}

/// Runs `work` on its own thread. Meanwhile the calling thread calls `tick` about 20 times a
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
    thread::scope(|scope| {
        let (done, finished) = bounded::<()>(1);
        let worker = scope.spawn(move || {
            yield_to_server();
            let result = work();
            drop(done);
            result
        });
        let started = Instant::now();
        let left = || timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
        let is_over = || left() == Some(Duration::ZERO);
        let mut was_over = false;
        loop {
            let wait = left().filter(|_| !was_over).unwrap_or(TICK).min(TICK);
            if finished.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                break;
            }
            was_over |= is_over();
            if was_over || !tick() {
                stop.set();
            }
        }
        let result = worker
            .join()
            .unwrap_or_else(|_| Err(Error::Internal("a worker thread panicked".to_owned())));
        match (result, timeout) {
            (Err(_), Some(timeout)) if was_over => {
                Err(Error::timed_out(timeout, stop.wait().as_deref()))
            }
            (result, _) => result,
        }
    })
}
