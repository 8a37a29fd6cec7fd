//! The options of a connection.

mod option_file;
pub(crate) mod options;
