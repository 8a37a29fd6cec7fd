//! The options of a connection.

pub(crate) mod address;
pub(crate) mod options;
