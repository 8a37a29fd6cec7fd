//! Connections: opening them, their transactions, their schemas, and query plans.

pub(crate) mod catalog;
pub(crate) mod explain;
pub(crate) mod held;
pub(crate) mod mistakes;
pub(crate) mod open;
pub(crate) mod others;
pub(crate) mod repeated;
pub(crate) mod together;
pub(crate) mod transaction;
