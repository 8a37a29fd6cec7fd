//! T-SQL: what is read in a query, and what is written around one.

pub(crate) mod dialect;
pub(crate) mod filter;
