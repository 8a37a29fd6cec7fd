//! Converts UTF-16, which SQL Server sends, to UTF-8, which Polars keeps.

use industrydb_core::{CellError, CellResult};

/// Bits of a code unit that no ASCII character has.
const NON_ASCII: u16 = 0xff80;

/// Converts little-endian UTF-16 to UTF-8. The result is in the scratch buffer, which only ever
/// grows.
///
/// # Errors
///
/// Half of a surrogate pair, or of a code unit, is missing.
#[inline]
pub(crate) fn to_utf8<'a>(bytes: &[u8], scratch: &'a mut Vec<u8>) -> CellResult<&'a [u8]> {
    let characters = bytes.len() / 2;
    if scratch.len() < characters {
        scratch.resize(characters, 0);
    }
    let (units, odd) = bytes.as_chunks::<2>();
    if odd.is_empty() && put_ascii(units, &mut scratch[..characters]) {
        return Ok(&scratch[..characters]);
    }
    let length = put_any(bytes, scratch)?;
    Ok(&scratch[..length])
}

/// Writes text as if it were ASCII, and returns whether all of it was.
#[inline]
fn put_ascii(units: &[[u8; 2]], utf8: &mut [u8]) -> bool {
    const AT_ONCE: usize = 8;
    let (blocks, rest) = units.as_chunks::<AT_ONCE>();
    let (utf8_blocks, utf8_rest) = utf8.as_chunks_mut::<AT_ONCE>();
    let mut seen = 0;
    for (block, utf8) in blocks.iter().zip(utf8_blocks) {
        for (unit, byte) in block.iter().zip(utf8) {
            seen |= u16::from_le_bytes(*unit);
            *byte = unit[0];
        }
    }
    for (unit, byte) in rest.iter().zip(utf8_rest) {
        seen |= u16::from_le_bytes(*unit);
        *byte = unit[0];
    }
    seen & NON_ASCII == 0
}

/// Writes any text, and returns its length in bytes.
#[inline(never)]
fn put_any(bytes: &[u8], scratch: &mut Vec<u8>) -> CellResult<usize> {
    const MOST_BYTES: usize = 3; // per code unit; a surrogate pair has four
    let (units, odd) = bytes.as_chunks::<2>();
    scratch.resize(scratch.len().max(MOST_BYTES * units.len()), 0);
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let mut is_text = odd.is_empty();
    let mut length = 0;
    for character in char::decode_utf16(units) {
        is_text &= character.is_ok();
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        length += character.encode_utf8(&mut scratch[length..]).len();
    }
    if is_text {
        return Ok(length);
    }
    let shown = String::from_utf8_lossy(&scratch[..length]);
    Err(not_text(&shown, "UTF-16"))
}

/// Returns the error for bytes that are not valid in their encoding.
#[cold]
pub(crate) fn not_text(shown: &str, encoding: &str) -> Box<CellError> {
    CellError::new(
        format!("{shown:?}"),
        format!("is not {encoding}"),
        "cast it to varbinary in the query, or repair it in the database",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_themselves(text in "[ -~]{0,9}\\PC{0,9}[ -~]{0,9}") {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut scratch = b"what stood there".to_vec();
            prop_assert_eq!(to_utf8(&bytes, &mut scratch).expect("it is a text"), text.as_bytes());
        }

        #[test]
        fn units_are_a_text_where_the_standard_library_says_so(
            units in prop::collection::vec(prop_oneof![0_u16..0x80, 0xd7f0..0xe010_u16], 0..12),
        ) {
            let bytes: Vec<u8> = units.iter().copied().flat_map(u16::to_le_bytes).collect();
            let mut scratch = Vec::new();
            let utf8 = to_utf8(&bytes, &mut scratch).ok();
            let expected = String::from_utf16(&units).ok();
            prop_assert_eq!(utf8, expected.as_deref().map(str::as_bytes));
        }
    }

    #[test]
    fn half_a_code_unit_is_no_text() {
        for bytes in [&b"a"[..], b"a\0b", b"a\0b\0c\0d\0e"] {
            to_utf8(bytes, &mut Vec::new()).expect_err("odd");
        }
    }
}
