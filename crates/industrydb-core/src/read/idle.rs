//! Sessions between two uses.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::error::Result;

/// The open sessions of a query that nobody uses at the moment; the one that described it is the
/// first.
pub struct Idle<S>(Mutex<Vec<S>>);

impl<S> Idle<S> {
    /// With one session.
    pub fn new(session: S) -> Self {
        Self(Mutex::new(vec![session]))
    }

    /// Uses an idle session, or else one that is opened; after an error it is closed.
    ///
    /// # Errors
    ///
    /// What opening and using it return.
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

    /// Takes an idle session out, if there is one.
    pub fn take(&self) -> Option<S> {
        self.lock().pop()
    }

    /// Takes all idle sessions out.
    pub fn take_all(&self) -> Vec<S> {
        std::mem::take(&mut *self.lock())
    }

    /// All idle sessions.
    pub fn lock(&self) -> MutexGuard<'_, Vec<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
