//! The SQL statements around a query, and the names and literals in them.

pub(crate) mod derived;
pub(crate) mod dialect;
pub(crate) mod filter;
pub(crate) mod table;
