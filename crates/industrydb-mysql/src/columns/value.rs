//! Takes the bytes of one value from a row.

use industrydb_core::{CellError, CellResult};

use crate::wire::bytes::Bytes;

/// Takes a value of fixed size.
#[inline]
pub(super) fn fixed<const N: usize>(row: &mut Bytes) -> CellResult<[u8; N]> {
    row.array().ok_or_else(truncated)
}

/// Takes a value with its length in front.
#[inline]
pub(super) fn variable<'a>(row: &mut Bytes<'a>) -> CellResult<&'a [u8]> {
    row.text().ok_or_else(truncated)
}

/// Takes a value with its length in front; returns all bytes from its first one on, and its length.
#[inline]
pub(super) fn variable_and_more<'a>(row: &mut Bytes<'a>) -> CellResult<(&'a [u8], usize)> {
    row.text_and_more().ok_or_else(truncated)
}

#[cold]
fn truncated() -> Box<CellError> {
    CellError::malformed("the row ends within it")
}
