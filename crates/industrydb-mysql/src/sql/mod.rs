//! The dialect, and the statements that are built around a query.

pub(crate) mod control;
pub(crate) mod derived;
pub(crate) mod dialect;
pub(crate) mod filter;
pub(crate) mod keys;
pub(crate) mod near;
pub(crate) mod refusal;
pub(crate) mod sources;
pub(crate) mod version;
