//! Values of frames and parameters in the driver's types.

pub(crate) mod encoder;
pub(crate) mod parameters;
pub(crate) mod temporal;
