//! The columns that the server describes, and the decoding of each type.

pub(crate) mod described;
pub(crate) mod entry;

pub(crate) use described::DescribedColumn;
pub(crate) use entry::{Decoding, decoding, type_name, type_of};
