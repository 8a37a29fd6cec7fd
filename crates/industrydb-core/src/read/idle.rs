//! Idle sessions of a query, kept for the next use.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::error::Result;

/// Open sessions of a query that are not in use; at first, only the one that described the query.
pub struct Idle<S>(Mutex<Vec<S>>);

impl<S> Idle<S> {
    /// Creates the pool with one session.
    pub fn new(session: S) -> Self {
        Self(Mutex::new(vec![session]))
    }

    /// Runs `work` on an idle session, or on a new one from `open` if there is none. After an
    /// error, the session is closed.
    ///
    /// # Errors
    ///
    /// The errors of `open` and `work`.
    pub fn with<T>(
        &self,
        open: impl FnOnce() -> Result<S>,
        work: impl FnOnce(&mut S) -> Result<T>,
    ) -> Result<T> {
        let idle = self.take(); // the lock must not be held while a session is opened
        let mut session = idle.map_or_else(open, Ok)?;
        let result = work(&mut session)?;
        self.lock().push(session);
        Ok(result)
    }

    /// Removes and returns an idle session, if there is one.
    pub fn take(&self) -> Option<S> {
        self.lock().pop()
    }

    /// Removes and returns all idle sessions.
    pub fn take_all(&self) -> Vec<S> {
        std::mem::take(&mut *self.lock())
    }

    /// Locks and returns the list of idle sessions.
    pub fn lock(&self) -> MutexGuard<'_, Vec<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
