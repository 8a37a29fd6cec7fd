//! A session that the caller keeps.

pub mod connection;
pub mod kept;
pub mod table;
