//! Writes a frame into a table.

pub(crate) mod insert;
