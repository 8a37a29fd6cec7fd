//! Builder of columns of exact decimal numbers.

use polars_arrow::array::Array;

use super::PrimitiveBuilder;
use crate::base::error::{CellError, CellResult};
use crate::schema::column_type::ColumnType;
use crate::schema::column_type::MAX_PRECISION;

/// 10⁰ … 10³⁸: all powers of ten that an `i128` holds.
pub const POWERS_OF_TEN: [i128; MAX_PRECISION as usize + 1] = {
    let mut powers = [1; MAX_PRECISION as usize + 1];
    let mut exponent = 1;
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// Remedy, in errors, for a number that no decimal column holds.
pub const DECIMAL_REMEDY: &str =
    "cast the column in the query, to text to keep every digit or to double precision to round";

/// Builder of a column of decimals with one scale.
pub struct DecimalBuilder {
    values: PrimitiveBuilder<i128>,
    precision: u8,
    scale: u8,
    /// The smallest number with too many digits.
    limit: i128,
}

impl DecimalBuilder {
    /// Creates an empty column for numbers of `precision` digits, `scale` of them after the point.
    ///
    /// # Panics
    ///
    /// If `precision` is above [`MAX_PRECISION`] or `scale` above `precision`: type tables pick
    /// both.
    pub fn new(precision: u8, scale: u8) -> Self {
        assert!(scale <= precision && precision <= MAX_PRECISION);
        Self {
            values: PrimitiveBuilder::default(),
            precision,
            scale,
            limit: POWERS_OF_TEN[usize::from(precision)],
        }
    }

    /// Returns the number of digits after the point.
    #[inline]
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// Returns whether a number, in units of 10⁻ˢᶜᵃˡᵉ, has no more digits than the column's
    /// precision.
    #[inline]
    pub fn holds(&self, unscaled: i128) -> bool {
        unscaled < self.limit && unscaled > -self.limit
    }

    /// Appends a number, in units of 10⁻ˢᶜᵃˡᵉ.
    ///
    /// # Errors
    ///
    /// If the number has more digits than the column's precision.
    #[inline]
    pub fn push(&mut self, unscaled: i128) -> CellResult {
        if !self.holds(unscaled) {
            return Err(self.misfit(unscaled));
        }
        self.values.push(unscaled);
        Ok(())
    }

    #[cold]
    fn misfit(&self, unscaled: i128) -> Box<CellError> {
        let text = decimal_text(unscaled, self.scale);
        too_many_digits(text, self.precision, self.scale)
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.values.push_null();
    }

    /// Increases the column's number of digits after the point.
    ///
    /// # Errors
    ///
    /// If a number in the column would then have more digits than the column's precision.
    pub fn rescale(&mut self, scale: u8) -> CellResult {
        rescale(self.values.values_mut(), self.scale, scale, self.precision)?;
        self.scale = scale;
        Ok(())
    }

    /// Returns the column's type and the finished column.
    pub fn finish(self) -> (ColumnType, Box<dyn Array>) {
        let column_type = ColumnType::Decimal {
            precision: self.precision,
            scale: self.scale,
        };
        (column_type, self.values.finish())
    }
}

/// Converts numbers from one scale to a larger one; zeros (and so NULLs) stay zero.
pub(crate) fn rescale(values: &mut [i128], from: u8, to: u8, precision: u8) -> CellResult {
    let factor = POWERS_OF_TEN[usize::from(to - from)];
    let limit = POWERS_OF_TEN[usize::from(precision)] / factor;
    for value in values {
        if value.unsigned_abs() >= limit.unsigned_abs() {
            return Err(too_many_digits(decimal_text(*value, from), precision, to));
        }
        *value *= factor;
    }
    Ok(())
}

/// Creates the error for a number with more digits than its column holds.
pub fn too_many_digits(value: String, precision: u8, scale: u8) -> Box<CellError> {
    CellError::new(
        value,
        format!("has more digits than Decimal({precision}, {scale}) holds"),
        DECIMAL_REMEDY,
    )
}

/// Formats a decimal as databases print it.
pub fn decimal_text(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>1$}", unscaled.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::PrimitiveArray;

    #[test]
    fn rescaling_keeps_the_numbers() {
        let mut builder = DecimalBuilder::new(38, 0);
        builder.push(12).expect("fits");
        builder.push_null();
        builder.rescale(3).expect("fits");
        builder.push(-5).expect("fits");
        let (column_type, array) = builder.finish();
        assert_eq!(
            column_type,
            ColumnType::Decimal {
                precision: 38,
                scale: 3
            }
        );
        let array = array.as_any().downcast_ref::<PrimitiveArray<i128>>();
        let values: Vec<_> = array.expect("i128").iter().collect();
        assert_eq!(values, [Some(&12_000), None, Some(&-5)]);
    }

    #[test]
    fn the_39th_digit_is_refused() {
        let mut builder = DecimalBuilder::new(38, 2);
        let largest = POWERS_OF_TEN[38] - 1;
        builder.push(largest).expect("38 digits fit");
        builder.push(-largest).expect("38 digits fit");
        let error = builder.push(POWERS_OF_TEN[38]).expect_err("39 digits");
        assert_eq!(
            error.value.as_deref(),
            Some("1000000000000000000000000000000000000.00")
        );
        let error = builder.rescale(3).expect_err("39 digits");
        assert!(error.reason.contains("Decimal(38, 3)"));
    }

    #[test]
    fn decimals_print_as_databases_print_them() {
        for (unscaled, scale, text) in [
            (0, 0, "0"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (12345, 2, "123.45"),
        ] {
            assert_eq!(decimal_text(unscaled, scale), text);
        }
    }
}
