//! The signal that ends all work of one call: set once, seen by every worker.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};

/// Stop flag that the workers of one call share.
///
/// A worker calls [`check`](Stop::check) between blocks of rows and whenever a wait ends without
/// data.
///
/// # Examples
///
/// ```
/// let stop = industrydb_core::Stop::default();
/// assert!(stop.check().is_ok());
/// stop.clone().set();
/// assert!(stop.check().is_err());
/// ```
#[derive(Clone, Default)]
pub struct Stop(Arc<Shared>);

type Tell = Box<dyn Fn() + Send>;

#[derive(Default)]
struct Shared {
    is_set: AtomicBool,
    looking: Option<Looking>,
    /// Registered callbacks, each with its number.
    told: Mutex<Vec<(u64, Tell)>>,
    next: AtomicU64,
    /// Description of what the work waits for.
    wait: Mutex<Option<String>>,
}

/// A callback that tells whether the work may go on.
struct Looking {
    look: Box<dyn Fn() -> bool + Send + Sync>,
    /// Thread that calls it.
    thread: ThreadId,
    /// Time of the next call.
    next: Mutex<Instant>,
}

impl Looking {
    fn is_here(&self) -> bool {
        thread::current().id() == self.thread
    }

    fn is_over(&self) -> bool {
        if !self.is_here() {
            return false;
        }
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if now < *next {
            return false;
        }
        *next = now + TICK;
        drop(next); // the callback may check this signal, too
        !(self.look)()
    }
}

/// Time between two looks of a calling thread at what may end its work, such as signals.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Registration of a callback with a [`Stop`]; dropping it removes the callback.
pub struct Told(Arc<Shared>, u64);

impl Drop for Told {
    fn drop(&mut self) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(number, _)| *number != self.1);
    }
}

impl Stop {
    /// Creates a signal that [`check`](Stop::check) sets once `look` returns `false`. It is called
    /// about 20 times a second, by checks of this thread: for work on the thread that has to look
    /// for something meanwhile, and that never waits long without a check.
    pub fn looking(look: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let looking = Looking {
            look: Box::new(look),
            thread: thread::current().id(),
            next: Mutex::new(Instant::now() + TICK),
        };
        Self(Arc::new(Shared {
            looking: Some(looking),
            ..Shared::default()
        }))
    }

    /// Stops the work: every later [`check`](Stop::check) fails, and the registered callbacks run.
    pub fn set(&self) {
        self.0.is_set.store(true, Ordering::Relaxed);
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().for_each(|(_, tell)| tell());
    }

    /// Registers a callback, run on the thread that stops the work, for code that cannot poll. If
    /// the work is already stopped, the callback also runs at once.
    pub fn tell(&self, tell: impl Fn() + Send + 'static) -> Told {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_set() {
            tell();
        }
        told.push((number, Box::new(tell)));
        drop(told);
        Told(Arc::clone(&self.0), number)
    }

    /// Runs work with a signal of its own, which is set after `limit`, and with this one. `None` if
    /// no thread can be started that sets it.
    pub fn within<T>(&self, limit: Duration, work: impl FnOnce(&Self) -> T) -> Option<T> {
        let own = Self::default();
        let (follower, clock) = (own.clone(), own.clone());
        let told = self.tell(move || follower.set());
        let (done, waits) = mpsc::channel::<()>();
        let wait = move || {
            if waits.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                clock.set();
            }
        };
        thread::Builder::new()
            .name("industrydb-limit".to_owned())
            .spawn(wait)
            .ok()?;
        let result = work(&own);
        drop((done, told));
        Some(result)
    }

    /// Records what the work waits for, for the message of a timeout error.
    pub fn waits_for(&self, what: String) {
        *self.0.wait.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// Returns what the work waits for, as last recorded.
    pub fn wait(&self) -> Option<String> {
        let wait = self.0.wait.lock().unwrap_or_else(PoisonError::into_inner);
        wait.clone()
    }

    /// Returns whether checks of this thread look for what may end the work.
    pub fn looks_here(&self) -> bool {
        self.0.looking.as_ref().is_some_and(Looking::is_here)
    }

    /// Returns whether the work is to stop.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed)
    }

    /// Fails if the work is to stop.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] once [`set`](Stop::set) was called.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.0.looking.as_ref().is_some_and(Looking::is_over) {
            self.set();
        }
        if self.is_set() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_within_a_limit_is_stopped_by_it_and_from_outside() {
        let until_stopped = |stop: &Stop| {
            while !stop.is_set() {
                thread::yield_now();
            }
        };
        let stop = Stop::default();
        assert!(
            stop.within(Duration::from_millis(1), until_stopped)
                .is_some()
        );
        assert!(!stop.is_set());
        stop.set();
        assert!(stop.within(Duration::MAX, until_stopped).is_some());
    }

    #[test]
    fn work_that_checks_looks_on_its_own_thread() {
        let thread = thread::current().id();
        let left = AtomicU64::new(2);
        let stop = Stop::looking(move || {
            assert_eq!(thread::current().id(), thread);
            left.fetch_sub(1, Ordering::Relaxed) > 1
        });
        assert!(stop.check().is_ok(), "too soon to look");
        let started = Instant::now();
        while stop.check().is_ok() {
            let elsewhere = thread::scope(|scope| {
                let checked = scope.spawn(|| (stop.looks_here(), stop.check().is_ok()));
                checked.join().expect("no look on this thread")
            });
            assert_eq!((stop.looks_here(), elsewhere), (true, (false, true)));
        }
        assert!(started.elapsed() >= TICK, "looked twice");
        assert!(stop.is_set());
    }

    #[test]
    fn who_asks_is_told_until_he_has_gone() {
        let count = Arc::new(AtomicU64::new(0));
        let tell = || {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let stop = Stop::default();
        let (stays, goes) = (stop.tell(tell()), stop.tell(tell()));
        drop(goes);
        stop.set();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let late = stop.tell(tell());
        assert_eq!(count.load(Ordering::Relaxed), 2, "at once");
        drop((stays, late));
        stop.set();
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
