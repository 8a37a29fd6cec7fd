//! Columns of values: built, converted, widened and put under one another.

pub mod builders;
pub mod chunk;
pub mod convert;
pub mod scalar;
pub mod stack;
pub mod widen;
