//! The type table: which decoder reads which type, and which operators order its values.

pub(crate) mod described;
pub(crate) mod entry;
pub(crate) mod order;

pub(crate) use described::DescribedColumn;
pub(crate) use entry::{
    Cast, Decoding, TypeEntry, built_in, built_in_element, built_in_oid, innermost, type_name,
};
