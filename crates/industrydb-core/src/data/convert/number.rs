//! Truth values and numbers of a scalar.

use std::str::FromStr;

use crate::data::builders::{POWERS_OF_TEN, decimal_text};
use crate::data::scalar::Scalar;

/// The truth value, if it is one.
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

/// The texts that databases and their tools write for truth values, in any case.
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

/// The number, if it is a whole one that the type holds.
pub fn integer<T: TryFrom<i128>>(value: &Scalar) -> Option<T> {
    T::try_from(whole(value)?).ok()
}

/// The number, if it is a whole one.
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
    /// Above all integers of 64 bits, and far below those of 128.
    const LIMIT: f64 = 1e30;
    (value.fract() == 0.0 && value.abs() < LIMIT).then_some(value as i128)
}

/// The number in units of 10⁻ˢᶜᵃˡᵉ, if it is a whole number of them. A float is the shortest
/// decimal that reads as the same float.
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

/// A sign, digits with or without a point, and an exponent or none.
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
    // Zeros at the end say nothing, and could be more than a number holds.
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

/// The float that is nearest to a number; `None` where the largest is far from it.
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

/// The float that is nearest to a number.
#[expect(clippy::cast_precision_loss, reason = "rounds to the nearest")]
pub fn float64(value: &Scalar) -> Option<f64> {
    /// Up to here all integers are floats …
    const EXACT: u128 = 1 << 53;
    /// … and all powers of ten.
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

/// As [`float64`]; `None` where a whole number would become another one.
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

/// As [`float32`]; `None` where a whole number would become another one.
pub fn exact_float32(value: &Scalar) -> Option<f32> {
    let float = float32(value)?;
    // One that is too small for the type becomes zero.
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

/// The integer that a float is.
#[expect(clippy::cast_possible_truncation, reason = "checked")]
fn exact_integer(float: f64) -> Option<i128> {
    /// Of integers of 128 bits.
    const LIMIT: f64 = 1.7e38;
    (float.fract() == 0.0 && float.abs() < LIMIT).then_some(float as i128)
}

/// Whether a float that was read from a text is infinite because the text says so, or not infinite.
fn says(text: &[u8], is_infinite: bool) -> bool {
    !is_infinite || !text.iter().any(u8::is_ascii_digit)
}
