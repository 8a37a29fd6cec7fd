//! Describes, divides and reads a query.

pub(crate) mod batches;
pub(crate) mod clock;
pub(crate) mod describe;
pub(crate) mod divide;
pub(crate) mod kept;
pub(crate) mod narrowed;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod reader;
