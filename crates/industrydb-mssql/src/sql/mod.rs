//! T-SQL: recognizes the clauses of a query, and writes statements around it.

pub(crate) mod derived;
pub(crate) mod dialect;
pub(crate) mod filter;
pub(crate) mod keys;
pub(crate) mod metadata;
pub(crate) mod select;
