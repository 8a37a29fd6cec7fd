//! A session with the server, and what it answers.

pub(crate) mod connect;
