//! Decodes vectors: floats of 32 bits, one after the other.

use industrydb_core::builders::{ListBuilder, PrimitiveBuilder};
use industrydb_core::{CellError, CellResult, ColumnType};
use polars_arrow::array::Array;

/// A column of vectors.
#[derive(Default)]
pub(crate) struct VectorDecoder {
    lists: ListBuilder,
    elements: PrimitiveBuilder<f32>,
}

impl VectorDecoder {
    pub(super) fn decode(&mut self, bytes: &[u8]) -> CellResult {
        let (floats, []) = bytes.as_chunks() else {
            return Err(CellError::malformed("it is no vector of 32-bit floats"));
        };
        let count = u32::try_from(floats.len());
        let count = count.map_err(|_| CellError::malformed("it has too many elements"))?;
        for float in floats {
            self.elements.push(f32::from_le_bytes(*float));
        }
        self.lists.push(count);
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.lists.push_null();
    }

    pub(super) fn finish(self) -> (ColumnType, Box<dyn Array>) {
        self.lists
            .finish(ColumnType::Float32, self.elements.finish())
    }
}
