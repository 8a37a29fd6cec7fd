//! Encodes values for the server: the parameters of statements, and the rows of frames.
//!
//! A frame's values are written as texts, which are the parameters of an INSERT and the fields of a
//! LOAD DATA alike. They have every digit of the value, and the server's conversions of texts are
//! exact. A value that the server would change on the way is refused here.

pub(crate) mod declared;
pub(crate) mod parameters;
pub(crate) mod value;

pub(crate) use declared::Declared;
pub(crate) use value::{Encoding, Scratch};
