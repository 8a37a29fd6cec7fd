//! Text encodings of the protocol.

pub(crate) mod code_page;
pub(crate) mod utf16;
