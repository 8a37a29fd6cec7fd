//! Sessions with the server: logging in, running statements, and reading small answers.

pub(crate) mod connect;
pub(crate) mod described;
pub(crate) mod mistakes;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod texts;
