//! Reads a query into columns.

pub(crate) mod clock;
pub(crate) mod divide;
pub(crate) mod explained;
pub(crate) mod group;
pub(crate) mod hold;
pub(crate) mod kept;
pub(crate) mod locks;
pub(crate) mod narrowed;
pub(crate) mod nodes;
pub(crate) mod partition;
pub(crate) mod query;
pub(crate) mod reader;
pub(crate) mod rows;
pub(crate) mod samples;
pub(crate) mod together;
pub(crate) mod typed;
