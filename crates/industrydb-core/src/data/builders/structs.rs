//! Columns of rows within rows: one column per field, and which rows are NULL as a whole.

use polars_arrow::array::{Array, StructArray};

use super::validity::Validity;
use crate::schema::column_type::ColumnType;

/// The rows of a growing column of structs; the fields stand in builders of their own.
#[derive(Default)]
pub struct StructBuilder {
    rows: usize,
    validity: Validity,
}

impl StructBuilder {
    /// Appends a row, whose fields must have been appended to their builders.
    pub fn push(&mut self) {
        self.rows += 1;
        self.validity.push_valid();
    }

    /// Appends a NULL; the fields' builders get a NULL each too.
    pub fn push_null(&mut self) {
        self.validity.push_null(self.rows);
        self.rows += 1;
    }

    /// The column, over the columns of its fields with their names.
    ///
    /// # Panics
    ///
    /// If a field has not as many rows, which their one caller keeps in step.
    pub fn finish(
        self,
        fields: Vec<(String, ColumnType, Box<dyn Array>)>,
    ) -> (ColumnType, Box<dyn Array>) {
        let (mut types, mut arrays) = (Vec::new(), Vec::new());
        for (name, column_type, array) in fields {
            types.push((name, column_type));
            arrays.push(array);
        }
        let column_type = ColumnType::Struct(types);
        let validity = self.validity.finish();
        let array = StructArray::new(column_type.arrow(), self.rows, arrays, validity);
        (column_type, array.boxed())
    }
}
