//! Builder of columns of one fixed-width value per row.

use polars_arrow::array::{Array, PrimitiveArray};
use polars_arrow::types::NativeType;

use super::memory;
use super::validity::Validity;

/// Builder of a column of numbers, or of dates and times counted in some unit.
#[derive(Default)]
pub struct PrimitiveBuilder<T> {
    values: Vec<T>,
    validity: Validity,
}

impl<T: NativeType> PrimitiveBuilder<T> {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: T) {
        self.push_value(value);
        self.validity.push_valid();
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.validity.push_null(self.values.len());
        self.push_value(T::default());
    }

    #[inline]
    fn push_value(&mut self, value: T) {
        if self.values.len() == self.values.capacity() {
            memory::grow(&mut self.values);
        }
        self.values.push(value);
    }

    /// Returns the values so far; the value of a NULL is zero.
    pub(super) fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Returns the finished column.
    pub fn finish(mut self) -> Box<dyn Array> {
        self.values.shrink_to_fit();
        PrimitiveArray::new(
            T::PRIMITIVE.into(),
            self.values.into(),
            self.validity.finish(),
        )
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_bitmap_exists_only_after_a_null() {
        let mut builder = PrimitiveBuilder::<i32>::default();
        for value in 0..100 {
            builder.push(value);
        }
        assert!(builder.finish().validity().is_none());

        let mut builder = PrimitiveBuilder::<i32>::default();
        for value in 0..100 {
            builder.push(value);
        }
        builder.push_null();
        builder.push(7);
        let array = builder.finish();
        assert_eq!(array.len(), 102);
        let nulls: Vec<usize> = (0..102).filter(|row| array.is_null(*row)).collect();
        assert_eq!(nulls, [100]);
    }
}
