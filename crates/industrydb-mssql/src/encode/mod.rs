//! Values of a caller in the driver's terms.

pub(crate) mod encoder;
pub(crate) mod parameters;
pub(crate) mod temporal;
