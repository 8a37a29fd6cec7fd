//! Connection options: where the server is, and how to log in.

pub(crate) mod options;
