//! A frame on its way into a table.

pub(crate) mod insert;
