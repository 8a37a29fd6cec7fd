//! Builder of columns of truth values, one bit per row.

use polars_arrow::array::{Array, BooleanArray};
use polars_arrow::bitmap::{Bitmap, MutableBitmap};
use polars_arrow::datatypes::ArrowDataType;

use super::validity::Validity;

/// Builder of a column of truth values.
#[derive(Default)]
pub struct BooleanBuilder {
    values: MutableBitmap,
    validity: Validity,
}

impl BooleanBuilder {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: bool) {
        self.values.push(value);
        self.validity.push_valid();
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.validity.push_null(self.values.len());
        self.values.push(false);
    }

    /// Returns the finished column.
    pub fn finish(mut self) -> Box<dyn Array> {
        self.values.shrink_to_fit();
        BooleanArray::new(
            ArrowDataType::Boolean,
            Bitmap::from(self.values),
            self.validity.finish(),
        )
        .boxed()
    }
}
