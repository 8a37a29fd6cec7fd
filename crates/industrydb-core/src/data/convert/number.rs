//! Converts scalars to truth values and numbers.

use std::str::FromStr;

use crate::data::builders::{POWERS_OF_TEN, decimal_text};
use crate::data::scalar::Scalar;

/// Converts a value to a truth value, if it is one.
pub(super) fn boolean(value: &Scalar) -> Option<bool> {
    match value {
        Scalar::Boolean(value) => Some(*value),
        Scalar::Text(text) => boolean_text(text),
        other => match whole(other)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// Parses the texts, in upper or lower case, that databases and their tools write for truth values.
pub fn boolean_text(text: &[u8]) -> Option<bool> {
    let text = text.trim_ascii();
    let is_one_of = |words: [&str; 3]| {
        words
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
    };
    if is_one_of(["true", "t", "1"]) {
        Some(true)
    } else if is_one_of(["false", "f", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// Converts a value to an integer; `None` if it is not whole or the type cannot hold it.
pub fn integer<T: TryFrom<i128>>(value: &Scalar) -> Option<T> {
    T::try_from(whole(value)?).ok()
}

/// Converts a value to a whole number, if it is one.
fn whole(value: &Scalar) -> Option<i128> {
    match *value {
        Scalar::Boolean(value) => Some(value.into()),
        Scalar::Integer(value) => Some(value.into()),
        Scalar::Text(text) => parse(text),
        Scalar::Float32(value) => whole(&Scalar::Float64(value.into())),
        Scalar::Float64(value) => whole_float(value),
        _ => decimal(value, 0),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked")]
fn whole_float(value: f64) -> Option<i128> {
    /// Limit above all integers of 64 bits, and far below the largest of 128 bits.
    const LIMIT: f64 = 1e30;
    (value.fract() == 0.0 && value.abs() < LIMIT).then_some(value as i128)
}

/// Converts a value to units of 10⁻ˢᶜᵃˡᵉ; `None` if it is not a whole number of them. A float
/// counts as the shortest decimal that parses to the same float.
pub fn decimal(value: &Scalar, scale: u8) -> Option<i128> {
    let wanted = scale;
    match *value {
        Scalar::Integer(value) => i128::from(value).checked_mul(power_of_ten(scale.into())?),
        Scalar::Decimal { unscaled, scale } if scale <= wanted => {
            unscaled.checked_mul(power_of_ten(i32::from(wanted - scale))?)
        }
        Scalar::Decimal { unscaled, scale } => {
            let factor = power_of_ten(i32::from(scale - wanted))?;
            (unscaled % factor == 0).then_some(unscaled / factor)
        }
        Scalar::Float32(value) => parse_decimal(&format!("{value:?}"), scale),
        Scalar::Float64(value) => parse_decimal(&format!("{value:?}"), scale),
        Scalar::Number(text) => parse_decimal(text, scale),
        Scalar::Text(text) => parse_decimal(std::str::from_utf8(text).ok()?.trim_ascii(), scale),
        _ => None,
    }
}

/// Parses an optional sign, digits with an optional point, and an optional exponent to units of
/// 10⁻ˢᶜᵃˡᵉ.
fn parse_decimal(text: &str, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (before, behind) = digits.split_at(point.unwrap_or(digits.len()));
    let behind = behind.get(1..).unwrap_or_default();
    if before.is_empty() && behind.is_empty() {
        return None;
    }
    // Zeros at the end do not change the number, and could overflow it.
    let zeros = behind
        .iter()
        .rev()
        .take_while(|byte| **byte == b'0')
        .count();
    let behind = &behind[..behind.len() - zeros];
    let unscaled = before
        .iter()
        .chain(behind)
        .try_fold(0_i128, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })?;
    let unscaled = if negative { -unscaled } else { unscaled };
    let shift = exponent
        .checked_add(scale.into())?
        .checked_sub(i32::try_from(behind.len()).ok()?)?;
    match shift {
        _ if unscaled == 0 => Some(0),
        0.. => unscaled.checked_mul(power_of_ten(shift)?),
        _ => {
            let factor = power_of_ten(shift.checked_neg()?)?;
            (unscaled % factor == 0).then_some(unscaled / factor)
        }
    }
}

fn power_of_ten(exponent: i32) -> Option<i128> {
    POWERS_OF_TEN.get(usize::try_from(exponent).ok()?).copied()
}

fn parse<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim_ascii().parse().ok()
}

/// Converts a value to the nearest float; `None` if it is beyond the largest float or no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "rounds to the nearest"
)]
pub fn float32(value: &Scalar) -> Option<f32> {
    match *value {
        Scalar::Float32(value) => Some(value),
        Scalar::Float64(value) => {
            let rounded = value as f32;
            (rounded.is_finite() || !value.is_finite()).then_some(rounded)
        }
        Scalar::Integer(value) => Some(value as f32),
        Scalar::Decimal { unscaled, scale } => decimal_text(unscaled, scale).parse().ok(),
        Scalar::Number(text) => float32(&Scalar::Text(text.as_bytes())),
        Scalar::Text(text) => parse(text).filter(|value: &f32| says(text, value.is_infinite())),
        _ => None,
    }
}

/// Converts a value to the nearest float; `None` if it is beyond the largest float or no number.
#[expect(clippy::cast_precision_loss, reason = "rounds to the nearest")]
pub fn float64(value: &Scalar) -> Option<f64> {
    /// Largest integer up to which every integer is exact as a float.
    const EXACT: u128 = 1 << 53;
    /// Largest exponent up to which every power of ten is exact as a float.
    const EXACT_SCALE: usize = 22;
    match *value {
        Scalar::Float32(value) => Some(value.into()),
        Scalar::Float64(value) => Some(value),
        Scalar::Integer(value) => Some(value as f64),
        Scalar::Decimal { unscaled, scale }
            if unscaled.unsigned_abs() <= EXACT && usize::from(scale) <= EXACT_SCALE =>
        {
            // A single division of two exact numbers rounds only once.
            Some(unscaled as f64 / POWERS_OF_TEN[usize::from(scale)] as f64)
        }
        Scalar::Decimal { unscaled, scale } => decimal_text(unscaled, scale).parse().ok(),
        Scalar::Number(text) => float64(&Scalar::Text(text.as_bytes())),
        Scalar::Text(text) => parse(text).filter(|value: &f64| says(text, value.is_infinite())),
        _ => None,
    }
}

/// Converts a value like [`float64`]; also `None` if a whole number would become another one.
///
/// # Examples
///
/// ```
/// use industrydb_core::convert::exact_float64;
/// use industrydb_core::scalar::Scalar;
///
/// assert_eq!(exact_float64(&Scalar::Integer(1 << 53)), Some(9_007_199_254_740_992.0));
/// assert_eq!(exact_float64(&Scalar::Integer((1 << 53) + 1)), None);
/// ```
pub fn exact_float64(value: &Scalar) -> Option<f64> {
    let float = float64(value)?;
    is_kept(value, float).then_some(float)
}

/// Converts a value like [`float32`]; also `None` if a whole number would become another one, or a
/// number other than zero would become zero.
pub fn exact_float32(value: &Scalar) -> Option<f32> {
    let float = float32(value)?;
    // A number that is too small for the type becomes zero.
    let is_zero = float == 0.0 && float64(value)? != 0.0;
    (!is_zero && is_kept(value, float.into())).then_some(float)
}

fn is_kept(value: &Scalar, float: f64) -> bool {
    match value {
        Scalar::Integer(_) | Scalar::Decimal { .. } => {
            whole(value).is_none_or(|number| Some(number) == exact_integer(float))
        }
        _ => true,
    }
}

/// Converts a float to an integer, if it is one.
#[expect(clippy::cast_possible_truncation, reason = "checked")]
fn exact_integer(float: f64) -> Option<i128> {
    /// Limit just below the largest integer of 128 bits.
    const LIMIT: f64 = 1.7e38;
    (float.fract() == 0.0 && float.abs() < LIMIT).then_some(float as i128)
}

/// Returns whether a float parsed from a text is finite, or infinite because the text says so in
/// words.
fn says(text: &[u8], is_infinite: bool) -> bool {
    !is_infinite || !text.iter().any(u8::is_ascii_digit)
}
