//! What one partition has read.

use polars_arrow::array::Array;

use crate::schema::column_type::ColumnType;

/// One column of a chunk.
#[derive(Clone)]
pub struct ChunkColumn {
    /// The type that its data has turned out to need.
    pub column_type: ColumnType,
    /// The values, in the memory that [`ColumnType::arrow`] says.
    pub array: Box<dyn Array>,
}

/// The rows of one partition.
#[derive(Clone)]
pub struct Chunk {
    /// The number of rows.
    pub height: usize,
    /// The columns, in the order of the query's fields.
    pub columns: Vec<ChunkColumn>,
}
