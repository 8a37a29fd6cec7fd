//! Builder of columns of structs: one column per field, and a validity bitmap of the rows that are
//! NULL as a whole.

use polars_arrow::array::{Array, StructArray};

use super::validity::Validity;
use crate::schema::column_type::ColumnType;

/// Builder of the rows of a column of structs; each field has its own builder.
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

    /// Appends a NULL; a NULL must also be appended to the builder of each field.
    pub fn push_null(&mut self) {
        self.validity.push_null(self.rows);
        self.rows += 1;
    }

    /// Returns the column's type and the finished column, made of the names, types and columns of
    /// its fields.
    ///
    /// # Panics
    ///
    /// If a field has a different number of rows; the only caller keeps them in step.
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
