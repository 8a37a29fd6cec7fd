//! A session with the server, and what it answers.

pub(crate) mod connect;
pub(crate) mod described;
pub(crate) mod errors;
pub(crate) mod results;
pub(crate) mod runtime;
pub(crate) mod texts;
