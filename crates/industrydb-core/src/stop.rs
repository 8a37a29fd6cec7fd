//! The signal that ends all work of one call: set once, seen by every worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

/// A flag that the workers of one call share.
///
/// A worker asks [`check`](Stop::check) between blocks of rows and whenever a wait ends without data.
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
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the work: every later [`check`](Stop::check) fails.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work is to end.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails when the work is to end.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] once [`set`](Stop::set) was called.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.is_set() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}
