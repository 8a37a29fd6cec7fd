//! A session with the server, and what it answers.

pub(crate) mod connect;
pub(crate) mod described;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod texts;
