//! A connection: how it is opened, what it sees, and what it tells of a statement.

pub(crate) mod catalog;
pub(crate) mod explain;
pub(crate) mod open;
pub(crate) mod others;
pub(crate) mod together;
pub(crate) mod transaction;
