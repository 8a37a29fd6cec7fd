//! Values from the driver into column builders.

pub(crate) mod column;
pub(crate) mod rows;
