//! Decodes `bit` values.

use industrydb_core::{CellError, CellResult};

/// Returns the number that up to 64 bits make, the highest byte first.
pub(super) fn bits(bytes: &[u8]) -> CellResult<u64> {
    if bytes.len() > 8 {
        return Err(CellError::malformed("it has more than 64 bits"));
    }
    let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Ok(bytes.iter().fold(0, join))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_byte_comes_first() {
        assert_eq!(bits(b"\x01").ok(), Some(1));
        assert_eq!(bits(b"\x01\x02").ok(), Some(258));
        assert_eq!(bits(&[0xff; 8]).ok(), Some(u64::MAX));
        assert!(bits(&[0; 9]).is_err());
    }
}
