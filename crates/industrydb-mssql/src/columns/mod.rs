//! Appends values from the driver to column builders.

pub(crate) mod column;
pub(crate) mod rows;
pub(crate) mod sink;
pub(crate) mod temporal;
pub(crate) mod writer;
