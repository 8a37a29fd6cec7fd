//! Builder of columns of lists: offsets into another column.

use polars_arrow::array::{Array, ListArray};
use polars_arrow::offset::OffsetsBuffer;

use super::validity::Validity;
use crate::schema::column_type::ColumnType;

/// Builder of the offsets of a column of lists; the elements have their own builder.
pub struct ListBuilder {
    offsets: Vec<i64>,
    validity: Validity,
}

impl Default for ListBuilder {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            validity: Validity::default(),
        }
    }
}

impl ListBuilder {
    /// Appends a list of `count` elements.
    ///
    /// The elements must also be appended to their own builder, whose column
    /// [`finish`](ListBuilder::finish) takes.
    pub fn push(&mut self, count: u32) {
        self.push_offset(count);
        self.validity.push_valid();
    }

    /// Appends a NULL in place of a list.
    pub fn push_null(&mut self) {
        self.validity.push_null(self.offsets.len() - 1);
        self.push_offset(0);
    }

    /// Returns how many elements all lists have together.
    pub fn elements(&self) -> usize {
        let counted = self.offsets.last().copied();
        counted.map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn push_offset(&mut self, count: u32) {
        let last = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(last + i64::from(count));
    }

    /// Returns the column's type and the finished column, made of the column of its elements.
    ///
    /// # Panics
    ///
    /// If the number of elements differs from what the lists count; the only caller keeps both in
    /// step.
    pub fn finish(
        self,
        element_type: ColumnType,
        elements: Box<dyn Array>,
    ) -> (ColumnType, Box<dyn Array>) {
        assert_eq!(
            elements.len(),
            self.elements(),
            "lists and elements are appended together"
        );
        // SAFETY: the offsets begin at zero, never fall, and end at the number of elements.
        let offsets = unsafe { OffsetsBuffer::new_unchecked(self.offsets.into()) };
        let array = ListArray::<i64>::new(
            ListArray::<i64>::default_datatype(elements.dtype().clone()),
            offsets,
            elements,
            self.validity.finish(),
        );
        (ColumnType::List(Box::new(element_type)), array.boxed())
    }
}
