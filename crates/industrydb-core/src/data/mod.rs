//! Columns of values: built, converted, widened and concatenated.

pub mod builders;
pub mod chunk;
pub mod convert;
pub mod scalar;
pub(crate) mod size;
#[expect(
    unsafe_code,
    reason = "arrays get the types that they are known to have"
)]
pub mod stack;
pub mod widen;
