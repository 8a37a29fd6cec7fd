//! Converts values of frames and parameters to the driver's types.

pub(crate) mod encoder;
pub(crate) mod parameters;
pub(crate) mod temporal;
