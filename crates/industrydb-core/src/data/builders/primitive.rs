//! Builder of columns of one fixed-width value per row.

use polars_arrow::array::{Array, PrimitiveArray};
use polars_arrow::types::NativeType;

use super::memory::Values;
use super::validity::Validity;

/// Builder of a column of numbers, or of dates and times counted in some unit.
#[derive(Default)]
pub struct PrimitiveBuilder<T> {
    values: Values<T>,
    validity: Validity,
}

impl<T: NativeType> PrimitiveBuilder<T> {
    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
        self.validity.push_valid();
    }

    /// Appends what `convert` makes of items, until it makes nothing of one, and returns that item.
    /// Many items at a time are faster than single ones.
    #[inline]
    pub fn extend_while<I: Iterator>(
        &mut self,
        items: &mut I,
        convert: impl Fn(&I::Item) -> Option<T>,
    ) -> Option<I::Item> {
        let before = self.values.len();
        let other = self.values.extend_while(items, convert);
        self.validity.extend_valid(self.values.len() - before);
        other
    }

    /// Appends a NULL.
    #[inline]
    pub fn push_null(&mut self) {
        self.validity.push_null(self.values.len());
        self.values.push(T::default());
    }

    /// Returns the values so far; the value of a NULL is zero.
    pub(super) fn values_mut(&mut self) -> &mut [T] {
        self.values.as_mut_slice()
    }

    /// Returns the finished column.
    pub fn finish(self) -> Box<dyn Array> {
        PrimitiveArray::new(
            T::PRIMITIVE.into(),
            self.values.finish().into(),
            self.validity.finish(),
        )
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_appended_up_to_one_that_is_no_value() {
        let mut builder = PrimitiveBuilder::<i32>::default();
        let mut items = 0..400;
        let next = |item: &i32| (*item != 63 && *item != 64 && *item < 300).then_some(*item * 2);
        let mut others = Vec::new();
        while let Some(other) = builder.extend_while(&mut items, next) {
            others.push(other);
            builder.push_null();
        }
        assert_eq!(others, [vec![63, 64], (300..400).collect()].concat());
        let array = builder.finish();
        let array = array.as_any().downcast_ref::<PrimitiveArray<i32>>();
        let values: Vec<_> = array
            .expect("integers")
            .iter()
            .map(Option::<&i32>::copied)
            .collect();
        let expected: Vec<_> = (0..400).map(|item| next(&item)).collect();
        assert_eq!(values, expected);
    }

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
