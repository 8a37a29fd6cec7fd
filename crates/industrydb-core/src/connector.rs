//! All that core knows of a database.

use crate::chunk::Chunk;
use crate::planner::{Bounds, Partition};
use crate::types::ColumnType;
use crate::{Result, Stop};

/// One column of a query's result, as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name in the result.
    pub name: String,
    /// The type's name in the database, for messages.
    pub database_type: String,
    /// The type that the connector's type table picked.
    pub column_type: ColumnType,
}

/// A database that can be read.
pub trait DatabaseConnector: Send + Sync {
    /// Asks the database for the names and types of the query's columns, without running it, and
    /// picks a decoder for each.
    ///
    /// # Errors
    ///
    /// When no session can be opened, the database refuses the query, or the query is no single
    /// statement that returns rows.
    fn describe(&self, query: &str, stop: &Stop) -> Result<Box<dyn DescribedQuery>>;
}

/// A query whose columns are known: what the planner asks and the workers read.
///
/// Workers share it; each [`read`](DescribedQuery::read) uses a session of its own.
pub trait DescribedQuery: Send + Sync {
    /// The columns, in order.
    fn fields(&self) -> &[Field];

    /// Makes the next `sessions` that are used at the same time see one state of the database.
    ///
    /// # Errors
    ///
    /// When the database cannot give it, or fails.
    fn share_snapshot(&self, sessions: usize, stop: &Stop) -> Result<()>;

    /// The smallest and the largest finite value of the column at `index`; `None` where it has only
    /// NULLs or no rows.
    ///
    /// # Errors
    ///
    /// When the column's type cannot be cut into ranges, or the database fails.
    fn bounds(&self, index: usize, stop: &Stop) -> Result<Option<Bounds>>;

    /// Reads one partition, blocking until its last row.
    ///
    /// # Errors
    ///
    /// When the database fails, a value does not fit, or `stop` was set: then nothing of the
    /// partition is returned.
    fn read(&self, partition: &Partition, stop: &Stop) -> Result<Chunk>;

    /// Whether a chunk must be read again because of what a later partition has shown of a column.
    fn is_stale(&self, _chunk: &Chunk) -> bool {
        false
    }
}
