//! Reads a query: describes its columns, splits it into partitions, and reads them.

pub(crate) mod clock;
pub(crate) mod describe;
pub(crate) mod divide;
mod hold;
pub(crate) mod part;
pub(crate) mod query;
pub(crate) mod reader;
pub(crate) mod samples;
pub(crate) mod shape;
pub(crate) mod typed;
