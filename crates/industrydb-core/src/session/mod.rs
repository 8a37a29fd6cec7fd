//! A session that the caller keeps.

pub mod kept;
pub mod lent;
pub mod table;
