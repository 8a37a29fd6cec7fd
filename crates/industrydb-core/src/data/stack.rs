//! Concatenates chunks into one frame.

use polars_arrow::array::Array;
use polars_core::prelude::{DataFrame, IntoColumn, Series};

use super::chunk::{Chunk, ChunkColumn};
use super::widen::{announced, unify};
use crate::base::error::{CellResult, Error, Result};
use crate::schema::column_type::ColumnType;
use crate::schema::field::Field;

/// Returns a frame without rows, with the columns as the database describes them.
///
/// # Errors
///
/// If two columns have the same name.
pub fn empty(fields: &[Field]) -> Result<DataFrame> {
    let column = |field: &Field| {
        Series::new_empty(field.name.as_str().into(), &field.column_type.polars()).into_column()
    };
    DataFrame::new(0, fields.iter().map(column).collect())
        .map_err(|error| Error::Internal(error.to_string()))
}

/// Concatenates chunks in their order. The frame's columns refer to the chunks' memory.
///
/// # Errors
///
/// If a column's arrays do not fit one type, or two columns have the same name.
pub fn stack(fields: &[Field], chunks: Vec<Chunk>) -> Result<DataFrame> {
    stacked(fields, chunks, |field, parts| {
        unify(&field.column_type, parts)
    })
}

/// Concatenates chunks like [`stack`], but every column has the type of its field: no value may
/// change it.
///
/// # Errors
///
/// If a column's array does not fit its field's type, or two columns have the same name.
pub fn stack_as_described(fields: &[Field], chunks: Vec<Chunk>) -> Result<DataFrame> {
    stacked(fields, chunks, |field, parts| {
        let arrays = parts
            .into_iter()
            .map(|part| announced(&field.column_type, part))
            .collect::<CellResult<_>>()?;
        Ok((field.column_type.clone(), arrays))
    })
}

/// Concatenates chunks; `join` converts the arrays of a column to one type and its memory layout.
fn stacked(
    fields: &[Field],
    chunks: Vec<Chunk>,
    join: impl Fn(&Field, Vec<ChunkColumn>) -> CellResult<(ColumnType, Vec<Box<dyn Array>>)>,
) -> Result<DataFrame> {
    let height = chunks.iter().map(|chunk| chunk.height).sum();
    let mut parts: Vec<Vec<ChunkColumn>> = fields.iter().map(|_| Vec::new()).collect();
    let any_rows = height > 0;
    for (index, chunk) in chunks.into_iter().enumerate() {
        // Empty partitions add nothing; if all are empty, the first one gives the types.
        if chunk.height > 0 || (!any_rows && index == 0) {
            for (parts, column) in parts.iter_mut().zip(chunk.columns) {
                parts.push(column);
            }
        }
    }
    let columns = fields
        .iter()
        .zip(parts)
        .map(|(field, parts)| {
            let (column_type, arrays) = join(field, parts)
                .map_err(|error| error.at(&field.name, &field.database_type, None))?;
            // SAFETY: `unify` and `announced` return arrays with the memory layout of the column's
            // type.
            let series = unsafe {
                Series::from_chunks_and_dtype_unchecked(
                    field.name.as_str().into(),
                    arrays,
                    &column_type.polars(),
                )
            };
            Ok(series.into_column())
        })
        .collect::<Result<Vec<_>>>()?;
    DataFrame::new(height, columns).map_err(|error| Error::Internal(error.to_string()))
}
