//! Decodes decimals, which are sent as text.

use industrydb_core::builders::{DecimalBuilder, POWERS_OF_TEN, too_many_digits};
use industrydb_core::{CellError, CellResult};

/// Appends the number that the text of the first `length` bytes is.
#[inline]
pub(super) fn push(bytes: &[u8], length: usize, builder: &mut DecimalBuilder) -> CellResult {
    let scale = builder.scale();
    if let Some(unscaled) = short(bytes, length, scale) {
        return builder.push(unscaled.into());
    }
    let text = bytes.get(..length).unwrap_or(bytes);
    match by_characters(text, scale) {
        Some(unscaled) => builder.push(unscaled.into()),
        None => builder.push(long(text, scale)?),
    }
}

/// The character `0`, eight times.
const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);

/// Returns the number in units of 10⁻ˢᶜᵃˡᵉ that the first `length` bytes are, if these have up to 8
/// characters behind their sign, with as many behind the point as the column has: the form of most
/// numbers. Other bytes must follow, up to eight in all.
///
/// All characters are taken at once, since their number is nothing that a processor can predict.
#[inline]
fn short(bytes: &[u8], length: usize, scale: u8) -> Option<i64> {
    let (is_negative, bytes, length) = match bytes {
        [b'-', bytes @ ..] => (true, bytes, length.checked_sub(1)?),
        bytes => (false, bytes, length),
    };
    let missing = 8 * 8_usize.checked_sub(length).filter(|_| length > 0)?;
    // What follows is shifted out at the top.
    let characters = u64::from_le_bytes(*bytes.first_chunk()?) << missing;
    let mut characters = characters | ZEROS & !(u64::MAX << missing);
    if scale > 0 {
        let point = 8 * 7_u32.checked_sub(scale.into())?;
        if characters >> point & 0xff != u64::from(b'.') {
            return None;
        }
        let whole = characters & !(u64::MAX << point);
        characters = characters & u64::MAX << point << 8 | whole << 8 | u64::from(b'0');
    }
    let others = (characters ^ ZEROS) | (characters.wrapping_add(0x0606_0606_0606_0606) ^ ZEROS);
    if others & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    let number = eight(characters);
    Some(if is_negative { -number } else { number })
}

/// Returns the number of eight digits, whose first one is in the lowest byte.
#[inline]
fn eight(characters: u64) -> i64 {
    let ones = characters & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = ones.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    let number = fours.wrapping_mul(10_000 << 32 | 1) >> 32;
    number.cast_signed()
}

/// Does the same as [`short`], for up to 18 digits.
fn by_characters(text: &[u8], scale: u8) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let scale = usize::from(scale);
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut number = 0_i64;
    let mut add = |digits: &[u8]| {
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + i64::from(digit);
        }
        Some(())
    };
    if scale == 0 {
        add(digits.get(..18.min(digits.len()))?)?;
        if digits.len() > 18 {
            return None;
        }
    } else {
        let point = digits.len().checked_sub(scale + 1)?;
        let (whole, fraction) = digits.split_at_checked(point)?;
        let [b'.', fraction @ ..] = fraction else {
            return None;
        };
        add(whole)?;
        add(fraction)?;
    }
    Some(if is_negative { -number } else { number })
}

/// Returns any number in units of 10⁻ˢᶜᵃˡᵉ.
#[cold]
pub(super) fn long(text: &[u8], scale: u8) -> CellResult<i128> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    let malformed = || CellError::malformed(format!("{:?} is no number", shown()));
    let too_long = || too_many_digits(shown(), 38, scale);
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut number = 0_i128;
    let mut behind: Option<u8> = None;
    let mut has_digits = false;
    for byte in digits {
        match byte {
            b'.' if behind.is_none() => behind = Some(0),
            b'0'..=b'9' => {
                has_digits = true;
                if behind == Some(scale) {
                    if *byte != b'0' {
                        return Err(too_long());
                    }
                    continue;
                }
                behind = behind.map(|digits| digits + 1);
                let digit = i128::from(byte - b'0');
                let next = number.checked_mul(10);
                number = next
                    .and_then(|next| next.checked_add(digit))
                    .ok_or_else(too_long)?;
            }
            _ => return Err(malformed()),
        }
    }
    if !has_digits {
        return Err(malformed());
    }
    let missing = scale - behind.unwrap_or(0);
    let factor = POWERS_OF_TEN.get(usize::from(missing)).copied();
    let number = factor.and_then(|factor| number.checked_mul(factor));
    let number = number.ok_or_else(too_long)?;
    Ok(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_numbers_that_they_show() {
        for (text, scale, expected) in [
            ("0", 0, Some(0)),
            ("-12.50", 2, Some(-1250)),
            ("0.05", 2, Some(5)),
            ("-0.05", 2, Some(-5)),
            ("00012.30", 2, Some(1230)),
            (".5", 1, Some(5)),
            ("12", 2, Some(1200)),
            ("12.5", 2, Some(1250)),
            ("12.500", 2, Some(1250)),
            ("12.505", 2, None),
            ("", 0, None),
            ("-", 0, None),
            (".", 2, None),
            ("1.2.3", 2, None),
            ("1e5", 0, None),
            ("9999999999999999999", 0, Some(9_999_999_999_999_999_999)),
            (
                "99999999999999999999999999999999999999",
                0,
                Some(99_999_999_999_999_999_999_999_999_999_999_999_999),
            ),
            ("999999999999999999999999999999999999999999", 0, None),
        ] {
            assert_eq!(long(text.as_bytes(), scale).ok(), expected, "{text}");
            for short in [followed, by_characters] {
                if let Some(short) = short(text.as_bytes(), scale) {
                    assert_eq!(Some(i128::from(short)), expected, "{text}");
                }
            }
        }
        assert_eq!(
            by_characters(b"-9999999999999999.99", 2),
            Some(-999_999_999_999_999_999)
        );
        assert_eq!(
            by_characters(b"999999999999999999", 0),
            Some(999_999_999_999_999_999)
        );
        assert_eq!(by_characters(b"9999999999999999999", 0), None);
        for short in [followed, by_characters] {
            assert_eq!(short(b"12x50", 2), None);
            assert_eq!(short(b"", 0), None);
        }
    }

    /// Returns the number of a text that other characters follow.
    fn followed(text: &[u8], scale: u8) -> Option<i64> {
        let [digits, others] = [b"99999999", b"-.\0\xff/:x "];
        let found = short(&[text, digits].concat(), text.len(), scale);
        assert_eq!(found, short(&[text, others].concat(), text.len(), scale));
        let alone = short(text, text.len(), scale);
        assert!(alone.is_none_or(|alone| Some(alone) == found));
        found
    }

    /// Texts of all lengths, with the point at any place or none, and with any byte at any place.
    #[test]
    fn all_ways_find_the_same_numbers() {
        let mut found = 0;
        for digits in 1..=17 {
            for point in 0..=digits {
                for sign in ["", "-"] {
                    let (whole, fraction) = "98765432109876543".split_at(digits).0.split_at(point);
                    for text in [
                        format!("{sign}{whole}{fraction}"),
                        format!("{sign}{whole}.{fraction}"),
                    ] {
                        for scale in 0..=17 {
                            let short = followed(text.as_bytes(), scale);
                            assert!(
                                short.is_none() || short == by_characters(text.as_bytes(), scale),
                                "{text} {scale}"
                            );
                            assert!(
                                short.is_none()
                                    || short.map(i128::from) == long(text.as_bytes(), scale).ok()
                            );
                            found += usize::from(short.is_some());
                        }
                    }
                }
            }
        }
        assert!(found > 100, "{found}");
        for length in 1..=8 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'7'; length];
                    text[at] = byte;
                    for scale in 0..=3 {
                        let other = by_characters(&text, scale);
                        let short = followed(&text, scale);
                        let is_same = short.is_none_or(|it| Some(it) == other);
                        assert!(is_same, "{text:?} {scale}");
                        let has_digits =
                            byte.is_ascii_digit() || byte == b'-' && at == 0 && length > 1;
                        assert_eq!(short.is_some() && scale == 0, has_digits && scale == 0);
                    }
                }
            }
        }
    }
}
