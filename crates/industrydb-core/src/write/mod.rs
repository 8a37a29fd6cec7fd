//! Frames on their way into a table.

pub mod frame;
