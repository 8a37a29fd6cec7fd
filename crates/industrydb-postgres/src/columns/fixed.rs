//! Decodes values of a fixed number of bytes, most significant first.

use industrydb_core::{CellError, CellResult};

/// Returns the field as an array of exactly `N` bytes.
#[inline]
pub(super) fn bytes<const N: usize>(field: &[u8]) -> CellResult<[u8; N]> {
    match field.try_into() {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(wrong_length(field.len(), N)),
    }
}

/// Decodes a `bool`: one byte, 0 or 1.
#[inline]
pub(super) fn boolean(field: &[u8]) -> CellResult<bool> {
    match bytes(field)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(CellError::malformed("the boolean is neither 0 nor 1")),
    }
}

#[cold]
#[inline(never)]
fn wrong_length(got: usize, expected: usize) -> Box<CellError> {
    CellError::malformed(format!("it has {got} bytes where {expected} belong"))
}
