//! T-SQL: what is recognized in a query, and what is written around one.

pub(crate) mod derived;
pub(crate) mod dialect;
pub(crate) mod filter;
pub(crate) mod keys;
pub(crate) mod metadata;
pub(crate) mod select;
