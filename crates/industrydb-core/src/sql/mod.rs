//! SQL statements, their tokens, and the dialects of databases.

pub mod clock;
pub mod dialect;
pub mod mistakes;
pub mod narrow;
pub mod shape;
pub mod statements;
pub mod tokens;
