//! A session: its login, its messages and its transactions.

pub(crate) mod catalog;
pub(crate) mod connect;
pub(crate) mod describe;
pub(crate) mod held;
pub(crate) mod login;
mod mistakes;
pub(crate) mod repeated;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod transaction;
