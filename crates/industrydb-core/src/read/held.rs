//! Snapshots that one session holds for the reads of other processes.

use crate::base::error::{Error, Result};
use crate::base::stop::Stop;

/// What a snapshot is held for.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    /// Queries that will be read.
    pub queries: Vec<String>,
    /// Names of tables that will be read: `table`, or `schema.table`.
    pub tables: Vec<String>,
    /// Statements that the session runs first.
    pub setup: Vec<String>,
}

/// Connector whose sessions can see the snapshot of another session.
pub trait Holder {
    /// Opens a session that holds a snapshot of the database, and the locks that reading these
    /// queries and tables needs.
    ///
    /// # Errors
    ///
    /// When no session can be opened, the database refuses a query, or gives no snapshot.
    fn hold(&self, hold: &Hold, stop: &Stop) -> Result<Box<dyn HeldSnapshot>>;
}

/// Snapshot that a session holds until it is dropped.
pub trait HeldSnapshot: Send + Sync {
    /// Text by which a [`Request`](crate::Request) of any process names the snapshot. It has no
    /// secret.
    fn token(&self) -> &str;
}

/// Returns the error for a database whose sessions cannot see the snapshot of another session.
pub(crate) fn cannot_hold() -> Error {
    Error::configuration(
        "sessions of this database cannot see a snapshot that another session holds: read all partitions by one \
         call, which shares one moment if the database can give one",
    )
}
