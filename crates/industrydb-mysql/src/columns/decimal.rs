//! Decodes decimals, which are sent as text.

use industrydb_core::builders::{DecimalBuilder, POWERS_OF_TEN, too_many_digits};
use industrydb_core::{CellError, CellResult};

/// Appends the number that a text is.
#[inline]
pub(super) fn push(text: &[u8], builder: &mut DecimalBuilder) -> CellResult {
    let scale = builder.scale();
    match short(text, scale) {
        Some(unscaled) => builder.push(unscaled.into()),
        None => builder.push(long(text, scale)?),
    }
}

/// Returns the number in units of 10⁻ˢᶜᵃˡᵉ if it has at most 18 digits, with as many behind the point
/// as the column has: the form of nearly all numbers.
#[inline]
fn short(text: &[u8], scale: u8) -> Option<i64> {
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
            if let Some(short) = short(text.as_bytes(), scale) {
                assert_eq!(Some(i128::from(short)), expected, "{text}");
            }
        }
        assert_eq!(
            short(b"-9999999999999999.99", 2),
            Some(-999_999_999_999_999_999)
        );
        assert_eq!(
            short(b"999999999999999999", 0),
            Some(999_999_999_999_999_999)
        );
        assert_eq!(short(b"9999999999999999999", 0), None);
        assert_eq!(short(b"12x50", 2), None);
    }
}
