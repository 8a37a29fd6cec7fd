//! The options of a connection.

pub(crate) mod options;
