//! Writes rows into a table.

pub(crate) mod copy;
pub(crate) mod insert;
pub(crate) mod target;
