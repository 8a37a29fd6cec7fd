//! Decimal numbers as text in plain digits, without the exponent that Python may write.

/// A number in plain digits, and the `decimal` type that holds it.
pub(crate) struct Plain {
    pub(crate) text: String,
    pub(crate) precision: u8,
    pub(crate) scale: u8,
}

/// Maximum precision of a `decimal`, in digits.
const MAX_DIGITS: usize = 38;

/// Writes a number such as `-00.50` or `1.5E+3` in plain digits; `None` if no `decimal` holds it.
pub(crate) fn plain(text: &str) -> Option<Plain> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let digits = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Number of digits after the decimal point once the exponent is applied; negative if zeros must
    // be appended.
    let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let all = all.trim_start_matches('0');
    let zeros = usize::try_from(scale.checked_neg()?).unwrap_or_default();
    let scale = usize::try_from(scale).unwrap_or_default();
    if zeros > MAX_DIGITS || scale > MAX_DIGITS || all.len() + zeros > MAX_DIGITS {
        return all.is_empty().then(|| plain("0")).flatten();
    }
    let all = format!("{all:0>width$}{:0>zeros$}", "", width = scale);
    let (whole, fraction) = all.split_at(all.len() - scale);
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(Plain {
        text: format!("{sign}{whole}{point}{fraction}"),
        precision: u8::try_from(all.len()).unwrap_or(u8::MAX).max(1),
        scale: u8::try_from(scale).unwrap_or(u8::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_become_digits() {
        for (text, expected) in [
            ("-00.50", "-0.50 (2,2)"),
            ("12345", "12345 (5,0)"),
            ("1E-7", "0.0000001 (7,7)"),
            ("1.5E+3", "1500 (4,0)"),
            ("0E+50", "0 (1,0)"),
            ("0E-50", "0 (1,0)"),
            ("0", "0 (1,0)"),
            (
                "99999999999999999999999999999999999999",
                "99999999999999999999999999999999999999 (38,0)",
            ),
        ] {
            let Plain {
                text: digits,
                precision,
                scale,
            } = plain(text).expect(text);
            assert_eq!(
                format!("{digits} ({precision},{scale})"),
                expected,
                "{text}"
            );
        }
        for text in [
            "1E+38",
            "1E-39",
            "100000000000000000000000000000000000000",
            "NaN",
            "",
            "-",
            "1E9999999999",
            "1E-2147483648",
            "1.5E-2147483647",
            "1E-9223372036854775808",
            "1.5E9223372036854775807",
            "1E99999999999999999999",
        ] {
            assert!(plain(text).is_none(), "{text}");
        }
    }
}
