//! A session: its login, statements and end.

pub(crate) mod connect;
pub(crate) mod ended;
pub(crate) mod load;
pub(crate) mod login;
mod mistakes;
pub(crate) mod prepared;
pub(crate) mod run;
pub(crate) mod statement;
pub(crate) mod tables;
