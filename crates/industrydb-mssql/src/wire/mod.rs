//! Decodes text, and converts errors.

pub(crate) mod code_page;
pub(crate) mod errors;
pub(crate) mod utf16;
