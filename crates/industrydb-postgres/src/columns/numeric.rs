//! Decodes `numeric`: a sign, and any number of digits to the base 10000.
//!
//! On the wire: the number of digits, the weight of the first (0 for the units), the sign, the
//! scale to display, and the digits. Zeros at either end are left out.

use industrydb_core::builders::{DecimalBuilder, POWERS_OF_TEN, too_many_digits};
use industrydb_core::column_type::MAX_PRECISION;
use industrydb_core::convert::Converter;
use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, ColumnType};
use polars_arrow::array::Array;

/// Number of decimal digits in one digit to the base 10000.
const GROUP: i32 = 4;
/// Largest digit to the base 10000.
const LARGEST_DIGIT: u16 = 9999;
const POSITIVE: u16 = 0x0000;
pub(crate) const NEGATIVE: u16 = 0x4000;
pub(crate) const NAN: u16 = 0xC000;
pub(crate) const INFINITY: u16 = 0xD000;
pub(crate) const NEGATIVE_INFINITY: u16 = 0xF000;

/// A column of exact decimals.
pub(crate) struct NumericDecoder {
    builder: DecimalBuilder,
    /// Whether the scale grows with the values; otherwise it is the declared one.
    widens: bool,
}

impl NumericDecoder {
    /// Creates a decoder for a column of `numeric(precision, scale)`.
    pub(super) fn declared(precision: u8, scale: u8) -> Self {
        Self {
            builder: DecimalBuilder::new(precision, scale),
            widens: false,
        }
    }

    /// Creates a decoder for a column of `numeric`, whose scale becomes the largest that a value
    /// needs.
    pub(super) fn widening(precision: u8) -> Self {
        Self {
            builder: DecimalBuilder::new(precision, 0),
            widens: true,
        }
    }

    pub(super) fn push_null(&mut self) {
        self.builder.push_null();
    }

    /// Appends a number.
    #[inline]
    pub(super) fn decode(&mut self, field: &[u8]) -> CellResult {
        let number = Number::parse(field)?;
        match number.unscaled(i32::from(self.builder.scale())) {
            Some(value) => self.builder.push(value),
            None => self.decode_misfit(&number),
        }
    }

    #[cold]
    #[inline(never)]
    fn decode_misfit(&mut self, number: &Number) -> CellResult {
        number.check()?;
        let scale = number.needed_scale();
        let fitting = u8::try_from(scale)
            .ok()
            .filter(|scale| *scale <= MAX_PRECISION);
        match fitting.zip(number.unscaled(scale)) {
            Some((scale, value)) if self.widens && scale > self.builder.scale() => {
                self.builder.rescale(scale)?;
                self.builder.push(value)
            }
            _ => Err(too_many_digits(
                number.to_string(),
                MAX_PRECISION,
                self.builder.scale(),
            )),
        }
    }

    pub(super) fn finish(self) -> (ColumnType, Box<dyn Array>) {
        self.builder.finish()
    }
}

/// Appends a number to a column of another type.
pub(super) fn convert(field: &[u8], converter: &mut Converter) -> CellResult {
    if let [_, _, _, _, sign @ .., _, _] = field
        && let Some(float) = special(sign)
    {
        return converter.push(Scalar::Float64(float));
    }
    let number = Number::parse(field)?;
    number.check()?;
    let scale = number.needed_scale();
    let fitting = u8::try_from(scale)
        .ok()
        .filter(|scale| *scale <= MAX_PRECISION);
    match fitting.zip(number.unscaled(scale)) {
        Some((scale, unscaled)) => converter.push(Scalar::Decimal { unscaled, scale }),
        // More digits than a decimal has: a float can still hold the number approximately.
        None => converter.push(Scalar::Number(&number.to_string())),
    }
}

/// Returns the float for the sign of `NaN` or of an infinity.
fn special(sign: &[u8]) -> Option<f64> {
    match u16::from_be_bytes(sign.try_into().ok()?) {
        NAN => Some(f64::NAN),
        INFINITY => Some(f64::INFINITY),
        NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A number as it stands on the wire.
struct Number<'a> {
    negative: bool,
    /// Power of 10000 of the first digit.
    weight: i32,
    /// Digits to the base 10000; the last one is not zero.
    digits: &'a [[u8; 2]],
}

impl<'a> Number<'a> {
    #[inline]
    fn parse(field: &'a [u8]) -> CellResult<Self> {
        let Some((&[n0, n1, w0, w1, s0, s1, _, _], digits)) = field.split_first_chunk::<8>() else {
            return Err(CellError::malformed("the numeric ends early"));
        };
        let (mut digits, odd) = digits.as_chunks::<2>();
        if digits.len() != usize::from(u16::from_be_bytes([n0, n1])) || !odd.is_empty() {
            return Err(CellError::malformed(
                "the numeric has another length than it says",
            ));
        }
        let negative = match u16::from_be_bytes([s0, s1]) {
            POSITIVE => false,
            NEGATIVE => true,
            special => return Err(not_finite(special)),
        };
        while let [shorter @ .., [0, 0]] = digits {
            digits = shorter;
        }
        Ok(Self {
            negative,
            weight: i32::from(i16::from_be_bytes([w0, w1])),
            digits,
        })
    }

    /// Returns an error if a digit is above [`LARGEST_DIGIT`].
    fn check(&self) -> CellResult {
        let mut digits = self.digits.iter();
        if digits.any(|digit| u16::from_be_bytes(*digit) > LARGEST_DIGIT) {
            return Err(CellError::malformed("the numeric has a digit above 9999"));
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn large(&self, leading: &[[u8; 2]], last: u16, exponent: i32) -> Option<i128> {
        self.check().ok()?;
        large(leading, last, exponent)
    }

    /// Returns the number in units of 10⁻ˢᶜᵃˡᵉ; `None` if it needs a larger scale or more than an
    /// `i128`, or a digit is above 9999.
    #[expect(clippy::inline_always, reason = "see `ColumnDecoder::push`")]
    #[inline(always)]
    fn unscaled(&self, scale: i32) -> Option<i128> {
        let Some((last, leading)) = self.digits.split_last() else {
            return Some(0);
        };
        let last = u16::from_be_bytes(*last);
        // Power of ten of the last digit, in units of the scale.
        let exponent = GROUP * (self.weight - digit_count(leading)) + scale;
        // Up to four digits and a small exponent, as nearly all numbers have, fit into 64 bits.
        let magnitude = if leading.len() < 4 && exponent < GROUP {
            let (mut value, mut invalid) = (0_u64, beyond(last));
            for digit in leading {
                let digit = u16::from_be_bytes(*digit);
                value = value * 10_000 + u64::from(digit);
                invalid |= beyond(digit);
            }
            if invalid.leading_zeros() == 0 {
                return None;
            }
            small(value, last, exponent)?
        } else {
            self.large(leading, last, exponent)?
        };
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// Returns the number of digits after the decimal point, without zeros at the end.
    fn needed_scale(&self) -> i32 {
        let Some(last) = self.digits.last() else {
            return 0;
        };
        let mut last = u16::from_be_bytes(*last);
        let mut zeros = 0;
        while last != 0 && last.is_multiple_of(10) {
            last /= 10;
            zeros += 1;
        }
        (GROUP * (digit_count(self.digits) - 1 - self.weight) - zeros).max(0)
    }
}

/// Returns the number of digits, which has 16 bits on the wire.
#[expect(clippy::cast_possible_wrap, clippy::cast_possible_truncation)]
fn digit_count(digits: &[[u8; 2]]) -> i32 {
    digits.len() as i32
}

/// Returns a number whose highest bit is set if the digit is above [`LARGEST_DIGIT`].
#[inline]
fn beyond(digit: u16) -> u32 {
    u32::from(LARGEST_DIGIT).wrapping_sub(u32::from(digit))
}

const BASE: u64 = 10_000;

/// Returns `leading` followed by the digit `last`, times 10ᵉˣᵖᵒⁿᵉⁿᵗ, which is below [`GROUP`].
#[inline]
fn small(leading: u64, last: u16, exponent: i32) -> Option<i128> {
    let power = |exponent: usize| [1_u16, 10, 100, 1000].get(exponent).copied();
    if let Ok(exponent) = usize::try_from(exponent) {
        let number = leading * BASE + u64::from(last);
        return Some(i128::from(number) * i128::from(power(exponent)?));
    }
    // Decimal digits beyond the scale must be zeros; `last` is not 0, so not all of it may be
    // beyond.
    let Divisor { by, inverse, above } = DIVISORS.get(usize::try_from(-exponent).ok()?)?;
    let last = u64::from(last);
    let quotient = (last * inverse) >> 32;
    (quotient * by == last).then(|| i128::from(leading * above + quotient))
}

/// A power of ten by which a digit is divided.
struct Divisor {
    by: u64,
    /// 2³² / `by`, rounded up.
    inverse: u64,
    /// What remains of the digits' base.
    above: u64,
}

const DIVISORS: [Divisor; 4] = {
    const fn divisor(by: u64) -> Divisor {
        let inverse = (1_u64 << 32).div_ceil(by);
        let above = BASE / by;
        Divisor { by, inverse, above }
    }
    [divisor(1), divisor(10), divisor(100), divisor(1000)]
};

/// Does the same as [`small`], for any number of digits and any exponent.
#[cold]
fn large(leading: &[[u8; 2]], last: u16, exponent: i32) -> Option<i128> {
    const BASE: i128 = 10_000;
    let leading = leading.iter().try_fold(0_i128, |value, digit| {
        value
            .checked_mul(BASE)?
            .checked_add(i128::from(u16::from_be_bytes(*digit)))
    })?;
    let last = i128::from(last);
    let power = |exponent: i32| POWERS_OF_TEN.get(usize::try_from(exponent).ok()?).copied();
    if let Some(factor) = power(exponent) {
        return leading
            .checked_mul(BASE)?
            .checked_add(last)?
            .checked_mul(factor);
    }
    let below = power(-exponent).filter(|below| *below < BASE && last % below == 0)?;
    leading.checked_mul(BASE / below)?.checked_add(last / below)
}

/// Prints the number's significant digits with an exponent, such as `-1.2345678e4`.
impl std::fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits: Vec<String> = self
            .digits
            .iter()
            .map(|digit| format!("{:04}", u16::from_be_bytes(*digit)))
            .collect();
        let digits = digits.concat();
        let zeros = digits.bytes().take_while(|digit| *digit == b'0').count();
        let digits = digits[zeros..].trim_end_matches('0');
        // Leading zeros stand only in the first digit, unless the number is zero.
        let first = GROUP * self.weight + GROUP - 1 - i32::try_from(zeros).unwrap_or(0);
        let sign = if self.negative { "-" } else { "" };
        let (head, tail) = digits.split_at(digits.len().min(1));
        let point = if tail.is_empty() { "" } else { "." };
        write!(f, "{sign}{head}{point}{tail}e{first}")
    }
}

#[cold]
#[inline(never)]
fn not_finite(sign: u16) -> Box<CellError> {
    let value = match sign {
        NAN => "NaN",
        INFINITY => "Infinity",
        NEGATIVE_INFINITY => "-Infinity",
        _ => return CellError::malformed("the numeric has an unknown sign"),
    };
    CellError::new(
        value.to_owned(),
        "is no number that a Decimal holds",
        "schema_overrides can ask for pl.Float64, which rounds the other values, or for pl.String; or cast the \
         column in the query",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_divided_exactly() {
        for (exponent, by) in (0..).map(|it| -it).zip([1_u16, 10, 100, 1000]) {
            for last in 0..=u16::MAX {
                let expected = last.is_multiple_of(by).then(|| i128::from(last / by));
                assert_eq!(small(0, last, exponent), expected, "{last} {exponent}");
            }
        }
    }

    /// Returns the bytes of `numeric_send` for a weight, a sign and digits to the base 10000.
    fn wire(weight: i16, negative: bool, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).expect("few digits");
        let sign = if negative { NEGATIVE } else { POSITIVE };
        let mut bytes = Vec::new();
        bytes.extend(count.to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(0_u16.to_be_bytes());
        bytes.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        bytes
    }

    fn unscaled(bytes: &[u8], scale: i32) -> Option<i128> {
        Number::parse(bytes).expect("a numeric").unscaled(scale)
    }

    #[test]
    fn captured_bytes_are_the_numbers_they_print_as() {
        // SELECT numeric_send('-12345.678')
        let bytes = b"\0\x03\0\x01\x40\0\0\x03\0\x01\x09\x29\x1a\x7c";
        assert_eq!(unscaled(bytes, 3), Some(-12_345_678));
        assert_eq!(unscaled(bytes, 2), None);
        assert_eq!(unscaled(bytes, 10), Some(-123_456_780_000_000));
        assert_eq!(
            Number::parse(bytes).expect("a numeric").to_string(),
            "-1.2345678e4"
        );
        // SELECT numeric_send('0.00')
        assert_eq!(unscaled(b"\0\0\0\0\0\0\0\x02", 2), Some(0));
    }

    #[test]
    fn fast_and_general_ways_agree_with_arithmetic() {
        for digits in [
            &[1_u16][..],
            &[9999],
            &[1, 2],
            &[12, 3400],
            &[1, 0, 0, 10],
            &[9999; 5],
            &[1; 9],
        ] {
            for weight in -3_i16..6 {
                for scale in 0..12 {
                    let bytes = wire(weight, false, digits);
                    let exact = digits
                        .iter()
                        .enumerate()
                        .try_fold(0_i128, |sum, (i, digit)| {
                            let exponent = 4 * (i32::from(weight) - i32::try_from(i).ok()?) + scale;
                            let digit = i128::from(*digit);
                            let term = if exponent >= 0 {
                                digit.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?
                            } else {
                                let below = 10_i128.checked_pow(exponent.unsigned_abs())?;
                                (digit % below == 0).then_some(digit / below)?
                            };
                            sum.checked_add(term)
                        });
                    assert_eq!(
                        unscaled(&bytes, scale),
                        exact,
                        "{digits:?} {weight} {scale}"
                    );
                    let negative = wire(weight, true, digits);
                    assert_eq!(unscaled(&negative, scale), exact.map(|value| -value));
                }
            }
        }
    }

    #[test]
    fn the_scale_grows_with_the_values() {
        let mut decoder = NumericDecoder::widening(38);
        for bytes in [
            wire(0, false, &[1]),
            wire(-1, false, &[2500]),
            wire(0, true, &[3, 1000]),
        ] {
            decoder.decode(&bytes).expect("fits");
        }
        let (column_type, array) = decoder.finish();
        assert_eq!(
            column_type,
            ColumnType::Decimal {
                precision: 38,
                scale: 2
            }
        );
        let array = array
            .as_any()
            .downcast_ref::<polars_arrow::array::PrimitiveArray<i128>>();
        assert_eq!(array.expect("i128").values().as_slice(), [100, 25, -310]);
    }

    #[test]
    fn what_a_decimal_cannot_hold_is_refused_with_its_value() {
        let mut decoder = NumericDecoder::widening(38);
        let error = decoder
            .decode(&wire(10, false, &[1]))
            .expect_err("41 digits");
        assert_eq!(error.value.as_deref(), Some("1e40"));
        for (sign, value) in [
            (NAN, "NaN"),
            (INFINITY, "Infinity"),
            (NEGATIVE_INFINITY, "-Infinity"),
        ] {
            let mut bytes = wire(0, false, &[]);
            bytes[4..6].copy_from_slice(&sign.to_be_bytes());
            let error = decoder.decode(&bytes).expect_err("no number");
            assert_eq!(error.value.as_deref(), Some(value));
        }
    }

    #[test]
    fn digits_above_9999_are_malformed_wherever_they_stand() {
        for digits in [
            &[10_000_u16][..],
            &[1, 10_000],
            &[u16::MAX, 1],
            &[1, 2, 3, 4, 5, 10_000, 7],
            &[0, 10_000, 0],
        ] {
            let bytes = wire(1, false, digits);
            let error = NumericDecoder::widening(38).decode(&bytes);
            assert!(error.expect_err("no digit").reason.contains("above 9999"));
            assert_eq!(unscaled(&bytes, 0), None);
            assert_eq!(unscaled(&bytes, 20), None);
        }
        assert_eq!(unscaled(&wire(0, false, &[9999]), 0), Some(9999));
    }

    #[test]
    fn malformed_bytes_are_errors() {
        let bytes = wire(1, false, &[1, 2, 3]);
        for end in 0..bytes.len() {
            assert!(Number::parse(&bytes[..end]).is_err());
        }
    }
}
