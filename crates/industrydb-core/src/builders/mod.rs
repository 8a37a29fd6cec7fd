//! Growing Arrow columns: where a cell ends up.
//!
//! A builder is one growing vector and a validity bitmap that exists only once a NULL was seen.
//! Vectors grow by doubling, which for large ones moves page tables instead of bytes.

mod boolean;
mod decimal;
mod interval;
mod list;
mod memory;
mod primitive;
mod structs;
mod validity;
mod view;

pub use boolean::BooleanBuilder;
pub use decimal::{DECIMAL_REMEDY, DecimalBuilder, POWERS_OF_TEN, too_many_digits};
pub(crate) use decimal::{decimal_text, rescale};
pub use interval::Interval;
pub use list::ListBuilder;
pub use primitive::PrimitiveBuilder;
pub use structs::StructBuilder;
pub use view::{BinaryBuilder, TextBuilder, reject_other_than_text};
