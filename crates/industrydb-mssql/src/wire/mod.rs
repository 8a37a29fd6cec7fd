//! Text as the protocol encodes it.

pub(crate) mod code_page;
pub(crate) mod utf16;
