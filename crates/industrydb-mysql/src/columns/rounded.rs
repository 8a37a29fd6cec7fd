//! Rounds floats to the digits behind the point that their column has.
//!
//! The server rounds the part behind the point by itself, and adds it to the part in front, which
//! is below it: -0.07 is stored as -1 + 0.93, the neighbour -0.06999999999999995. In texts, and
//! where it compares the column with a literal, it rounds again.

/// Most digits for which the power of ten is a float.
const MOST: u8 = 22;

/// From here on, the product with the power of ten may be rounded to another whole number.
const LARGE: f64 = 562_949_953_421_312.0; // 2^49

/// Nearer to the middle of two whole numbers, the product may have been rounded to the other side.
const SURE: f64 = 0.25;

/// A number of digits behind the point.
pub(crate) struct Digits {
    number: usize,
    /// Ten to the power of the number; infinite if that is no float.
    power: f64,
}

impl Digits {
    pub(super) fn new(digits: u8) -> Self {
        Self {
            number: usize::from(digits),
            power: if digits <= MOST {
                10_f64.powi(i32::from(digits))
            } else {
                f64::INFINITY
            },
        }
    }

    /// Returns the float of 32 bits that is nearest to the decimal number with these digits.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest float is asked for"
    )]
    pub(super) fn round_short(&self, float: f32) -> f32 {
        self.round(f64::from(float)) as f32
    }

    /// Returns the float that is nearest to the decimal number with these digits.
    #[inline]
    pub(super) fn round(&self, float: f64) -> f64 {
        let product = float * self.power;
        let whole = product.round();
        if product.abs() < LARGE && (product - whole).abs() < SURE {
            // Both are whole, so that the quotient is the float nearest to the decimal number.
            whole / self.power
        } else {
            let text = format!("{float:.digits$}", digits = self.number);
            text.parse().unwrap_or(float)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_the_digits_of_their_column() {
        for (float, digits, expected) in [
            (-1.0 + 0.93, 2, -0.07),
            (-0.046_827_822_100_000_03, 10, -0.046_827_822_1),
            (12_345_678.91, 2, 12_345_678.91),
            (1_234_567_890.012_345_8, 10, 1_234_567_890.012_345_8),
            (1e300, 30, 1e300),
            (0.1, 30, 0.1),
            (-2.094_200_989_621_875e-6, 20, -2.094_200_989_621_87e-6),
            (0.125, 2, 0.12),
            (2.675, 2, 2.67),
            (-0.0, 2, -0.0),
            (3.0, 0, 3.0),
        ] {
            let rounded = Digits::new(digits).round(float);
            assert_eq!(rounded.to_bits(), f64::to_bits(expected), "{float}");
        }
        let short = Digits::new(10).round_short(f32::from_bits(f32::to_bits(-5e-10) - 1));
        assert_eq!(short.to_bits(), f32::to_bits(-5e-10));
    }
}
