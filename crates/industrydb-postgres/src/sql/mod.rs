//! PostgreSQL's SQL.

pub(crate) mod casts;
pub(crate) mod control;
pub(crate) mod dialect;
pub(crate) mod filter;
pub(crate) mod moment;
pub(crate) mod near;
pub(crate) mod now;
pub(crate) mod parameters;
pub(crate) mod statements;
pub(crate) mod table;
