//! The statements around a query, and what is put into them.

pub(crate) mod derived;
pub(crate) mod dialect;
pub(crate) mod filter;
pub(crate) mod table;
