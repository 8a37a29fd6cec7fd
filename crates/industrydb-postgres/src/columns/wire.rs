//! Takes numbers and elements off the front of an array or a composite value.

use industrydb_core::{CellError, CellResult};

/// Takes a number of 32 bits.
pub(super) fn take_i32(rest: &mut &[u8]) -> CellResult<i32> {
    let (number, behind) = rest.split_first_chunk().ok_or_else(truncated)?;
    *rest = behind;
    Ok(i32::from_be_bytes(*number))
}

/// Takes an element or a field; `None` is NULL.
pub(super) fn take_element<'a>(rest: &mut &'a [u8]) -> CellResult<Option<&'a [u8]>> {
    let length = take_i32(rest)?;
    if length == -1 {
        return Ok(None);
    }
    let element = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let (element, behind) = element.ok_or_else(truncated)?;
    *rest = behind;
    Ok(Some(element))
}

#[cold]
pub(super) fn truncated() -> Box<CellError> {
    CellError::malformed("the value ends early")
}
