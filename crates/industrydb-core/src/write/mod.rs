//! Frames that are written to a table.

pub mod frame;
