//! SQL statements, their tokens, and the dialects of databases.

pub mod clock;
pub mod dialect;
pub mod foreign;
pub mod mistakes;
pub mod modifiers;
pub mod narrow;
pub mod shape;
pub mod signs;
pub mod statements;
pub mod tokens;
