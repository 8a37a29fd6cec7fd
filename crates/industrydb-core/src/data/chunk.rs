//! Chunks: the Arrow arrays of one batch, or of a whole partition.

use polars_arrow::array::Array;

use crate::schema::column_type::ColumnType;

/// One column of a chunk.
#[derive(Clone)]
pub struct ChunkColumn {
    /// The type that the column's values need.
    pub column_type: ColumnType,
    /// The values, with the memory layout of [`ColumnType::arrow`].
    pub array: Box<dyn Array>,
}

/// Rows of one batch, or of a whole partition.
#[derive(Clone)]
pub struct Chunk {
    /// The number of rows.
    pub height: usize,
    /// The columns, in the order of the query's fields.
    pub columns: Vec<ChunkColumn>,
}
