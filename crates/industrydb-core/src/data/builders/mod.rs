//! Builders of Arrow columns, to which decoders append the cells.
//!
//! A builder is one growing vector and a validity bitmap that exists only once a NULL was appended.
//! Vectors grow fourfold ([`memory`]): a large one moves page tables instead of bytes.

mod boolean;
mod decimal;
mod interval;
#[expect(unsafe_code, reason = "offsets only grow")]
mod list;
#[expect(unsafe_code, reason = "values are written behind the others")]
mod memory;
mod primitive;
mod repeats;
mod structs;
mod utf8;
mod validity;
#[expect(unsafe_code, reason = "views stay within their buffers")]
mod view;

pub use boolean::BooleanBuilder;
pub(crate) use decimal::rescale;
pub use decimal::{DECIMAL_REMEDY, DecimalBuilder, POWERS_OF_TEN, decimal_text, too_many_digits};
pub use interval::Interval;
pub use list::ListBuilder;
pub use primitive::PrimitiveBuilder;
pub use structs::StructBuilder;
pub use view::{BinaryBuilder, TextBuilder, reject_other_than_text};
