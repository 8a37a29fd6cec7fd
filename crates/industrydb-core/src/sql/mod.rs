//! Statements, their tokens, and what a database's own way to write them is.

pub mod clock;
pub mod dialect;
pub mod narrow;
pub mod shape;
pub mod statements;
pub mod tokens;
