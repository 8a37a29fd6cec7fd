//! Decodes types that become text, although their binary form is not text.

use industrydb_core::{CellError, CellResult};

use super::fixed::bytes;

/// Decodes a `uuid`: 16 bytes become the 36 characters that PostgreSQL prints.
#[inline]
pub(super) fn uuid(field: &[u8]) -> CellResult<[u8; 36]> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    /// Positions of the hyphens, which never separate the two digits of a byte.
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in bytes::<16>(field)? {
        if HYPHENS.contains(&at) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    Ok(text)
}

/// Decodes `jsonb`: a version, 1, and then text.
#[inline]
pub(super) fn jsonb(field: &[u8]) -> CellResult<&[u8]> {
    match field {
        [1, text @ ..] => Ok(text),
        _ => Err(CellError::malformed("it is jsonb of an unknown version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_prints_as_postgresql_prints_it() {
        // SELECT uuid_send('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
        let wire = b"\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11";
        assert_eq!(
            &uuid(wire).expect("a uuid"),
            b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
        );
        uuid(&wire[1..]).expect_err("too short");
    }

    #[test]
    fn jsonb_has_a_version() {
        assert_eq!(jsonb(b"\x01{}").expect("jsonb"), b"{}");
        jsonb(b"\x02{}").expect_err("version 2");
        jsonb(b"").expect_err("nothing");
    }
}
