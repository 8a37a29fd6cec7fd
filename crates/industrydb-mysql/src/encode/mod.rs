//! Writes a frame's values as texts, which the server converts to the types of its columns.
//!
//! The same texts are the parameters of an INSERT and the fields of a LOAD DATA. They have every
//! digit of the value, and the server's conversions of texts are exact. A value that the server would
//! change on the way is refused here.

pub(crate) mod declared;
pub(crate) mod value;

pub(crate) use declared::Declared;
pub(crate) use value::Encoding;
