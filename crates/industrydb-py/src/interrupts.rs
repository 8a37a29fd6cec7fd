//! Holds back each SIGINT while a scan reads; `python/industrydb/_watch/interrupts.py` decides what
//! happens to it.
//!
//! A signal handler is installed in front of the previous one. It notes each signal, and passes on
//! only those that are sent by [`pass_interrupt`]. The previous handler is restored when the last
//! scan ends.

use industrydb_core::Stop;
use pyo3::prelude::*;

/// A signal that ends a read from outside.
#[pyclass(module = "industrydb.industrydb", frozen, name = "Stop")]
pub(crate) struct PyStop(pub(crate) Stop);

#[pymethods]
impl PyStop {
    #[new]
    fn new() -> Self {
        Self(Stop::default())
    }

    /// Ends the work.
    fn set(&self, py: Python<'_>) {
        py.detach(|| self.0.set());
    }
}

/// Holds back each SIGINT from now on; returns `False` if this process has no handler of its own
/// for SIGINT.
#[pyfunction]
pub(crate) fn hold_interrupts() -> bool {
    handler::install()
}

/// Restores the previous handler.
#[pyfunction]
pub(crate) fn release_interrupts() {
    handler::restore();
}

/// Returns whether a SIGINT has been held back since the last call.
#[pyfunction]
pub(crate) fn held_interrupt() -> bool {
    handler::take()
}

/// Sends a SIGINT to a thread, given by its `ident`, which is passed on to the previous handler.
#[pyfunction]
pub(crate) fn pass_interrupt(thread: usize) {
    handler::pass(thread);
}

#[cfg(unix)]
mod handler {
    use std::ffi::{c_int, c_void};
    use std::mem;
    use std::ptr::{null, null_mut};
    use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

    use libc::{SA_SIGINFO, SIG_DFL, SIG_ERR, SIG_IGN, SIGINT, sigaction, siginfo_t};

    /// Id of the process whose signals are held back; 0 if none are. A fork's signals are not held
    /// back, since no thread polls for them there.
    static HOLDING: AtomicI32 = AtomicI32::new(0);
    static HELD: AtomicBool = AtomicBool::new(false);
    static PASSES: AtomicBool = AtomicBool::new(false);
    /// The previous handler. It is never freed: another library may have kept `note` as its own
    /// previous handler, and still call it.
    static PREVIOUS: AtomicPtr<sigaction> = AtomicPtr::new(null_mut());

    /// The first of all previous handlers.
    static FIRST: AtomicPtr<sigaction> = AtomicPtr::new(null_mut());
    /// Whether the previous handler is being called. If it calls `note` in turn, it means the
    /// handler that preceded all others, `FIRST`.
    static CALLS: AtomicBool = AtomicBool::new(false);

    extern "C" fn note(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        if CALLS.load(Ordering::SeqCst) {
            call(&FIRST, signal, info, context);
            return;
        }
        // SAFETY: `getpid` may be called in a signal handler.
        let process = unsafe { libc::getpid() };
        if HOLDING.load(Ordering::SeqCst) == process && !PASSES.swap(false, Ordering::SeqCst) {
            HELD.store(true, Ordering::SeqCst);
            return;
        }
        CALLS.store(true, Ordering::SeqCst);
        call(&PREVIOUS, signal, info, context);
        CALLS.store(false, Ordering::SeqCst);
    }

    fn call(
        handler: &AtomicPtr<sigaction>,
        signal: c_int,
        info: *mut siginfo_t,
        context: *mut c_void,
    ) {
        // SAFETY: the pointer is set before `note` is installed, and its target is never freed.
        let Some(handler) = (unsafe { handler.load(Ordering::SeqCst).as_ref() }) else {
            return;
        };
        if handler.sa_flags & SA_SIGINFO == 0 {
            // SAFETY: `install` has checked that this is a function, and the flag says of which
            // kind.
            let function: extern "C" fn(c_int) = unsafe { mem::transmute(handler.sa_sigaction) };
            function(signal);
        } else {
            // SAFETY: as above.
            let function: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { mem::transmute(handler.sa_sigaction) };
            function(signal, info, context);
        }
    }

    fn ours() -> usize {
        note as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize
    }

    /// Returns the current handler.
    fn present() -> Option<sigaction> {
        // SAFETY: zeros are a valid value of the structure, which the call fills in.
        unsafe {
            let mut present: sigaction = mem::zeroed();
            (sigaction(SIGINT, null(), &raw mut present) == 0).then_some(present)
        }
    }

    pub(super) fn install() -> bool {
        let Some(present) = present() else {
            return false;
        };
        if [SIG_DFL, SIG_IGN, SIG_ERR].contains(&present.sa_sigaction) {
            return false;
        }
        // SAFETY: the call has no conditions.
        HOLDING.store(unsafe { libc::getpid() }, Ordering::SeqCst);
        if present.sa_sigaction == ours() {
            return true; // another library has put it back
        }
        let mut handler = present;
        handler.sa_sigaction = ours();
        handler.sa_flags |= SA_SIGINFO;
        remember(present);
        // SAFETY: the structure is the current one, with a function of the kind that its flags
        // announce.
        let installed = unsafe { sigaction(SIGINT, &raw const handler, null_mut()) == 0 };
        if !installed {
            HOLDING.store(0, Ordering::SeqCst);
        }
        installed
    }

    /// Saves a handler as the previous one, unless it is saved already.
    fn remember(handler: sigaction) {
        // SAFETY: a saved handler is never freed.
        let kept = unsafe { PREVIOUS.load(Ordering::SeqCst).as_ref() };
        let key = |handler: &sigaction| (handler.sa_sigaction, handler.sa_flags);
        if kept.map(key) == Some(key(&handler)) {
            return;
        }
        let handler = Box::into_raw(Box::new(handler));
        if kept.is_none() {
            FIRST.store(handler, Ordering::SeqCst);
        }
        PREVIOUS.store(handler, Ordering::SeqCst);
    }

    pub(super) fn restore() {
        HOLDING.store(0, Ordering::SeqCst);
        let is_ours = present().is_some_and(|present| present.sa_sigaction == ours());
        let previous = PREVIOUS.load(Ordering::SeqCst);
        // A handler that another library has installed since stays.
        if is_ours && !previous.is_null() {
            // SAFETY: the structure was returned by the system, and is never freed.
            unsafe { sigaction(SIGINT, previous, null_mut()) };
        }
    }

    pub(super) fn take() -> bool {
        HELD.swap(false, Ordering::SeqCst)
    }

    pub(super) fn pass(thread: usize) {
        PASSES.store(HOLDING.load(Ordering::SeqCst) != 0, Ordering::SeqCst);
        // SAFETY: Python's `ident` of a thread that runs is its `pthread_t`; the main thread runs
        // as long as Python does.
        unsafe { libc::pthread_kill(thread as libc::pthread_t, SIGINT) };
    }
}

#[cfg(not(unix))]
mod handler {
    pub(super) fn install() -> bool {
        false
    }

    pub(super) fn restore() {}

    pub(super) fn take() -> bool {
        false
    }

    pub(super) fn pass(_: usize) {}
}
