//! Inserts a frame into a table.

pub(crate) mod insert;
pub(crate) mod load;
pub(crate) mod target;
