//! Writes rows into a table.

pub(crate) mod insert;
pub(crate) mod load;
pub(crate) mod rows;
pub(crate) mod settings;
pub(crate) mod stage;
pub(crate) mod target;
