//! The sink that builds a partition's columns.

use std::borrow::Cow;

use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, Chunk, Error, Field};

use crate::columns::column::Column;
use crate::columns::sink::Sink;
use crate::types::Decoding;

/// The column builders of one partition.
pub(crate) struct Rows<'a> {
    fields: Cow<'a, [Field]>,
    decodings: Vec<Decoding>,
    columns: Vec<Column>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(fields: impl Into<Cow<'a, [Field]>>, decodings: &[Decoding]) -> Self {
        Self {
            fields: fields.into(),
            decodings: decodings.to_vec(),
            columns: decodings.iter().map(Column::new).collect(),
        }
    }

    /// Returns the fields of the columns.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Returns the bytes that long values take.
    pub(crate) fn long_bytes(&self) -> usize {
        self.columns.iter().map(Column::long_bytes).sum()
    }

    /// Takes the `height` rows since the last call as a chunk.
    pub(crate) fn take(&mut self, height: usize) -> Chunk {
        let empty = self.decodings.iter().map(Column::new).collect();
        let columns = std::mem::replace(&mut self.columns, empty);
        Chunk {
            height,
            columns: columns.into_iter().map(Column::finish).collect(),
        }
    }
}

impl Sink for Rows<'_> {
    #[expect(
        clippy::inline_always,
        reason = "the caller knows the kind of the value, and the match over kinds goes away"
    )]
    #[inline(always)]
    fn push(&mut self, column: usize, value: Option<Scalar>) -> CellResult {
        let Some(builder) = self.columns.get_mut(column) else {
            return Err(CellError::malformed(
                "the row has more columns than were announced",
            ));
        };
        if let Some(value) = value {
            return builder.push(value);
        }
        builder.push_null();
        Ok(())
    }

    fn push_zoned(&mut self, column: usize, value: Scalar, minutes: i16) -> CellResult {
        match self.columns.get_mut(column) {
            Some(builder) => builder.push_zoned(value, minutes),
            None => self.push(column, Some(value)),
        }
    }

    fn push_vector(&mut self, column: usize, values: &[f32]) -> CellResult {
        match self.columns.get_mut(column) {
            Some(builder) => builder.push_vector(values),
            None => Err(CellError::malformed(
                "the row has more columns than were announced",
            )),
        }
    }

    fn located(&self, column: usize, error: Box<CellError>, row: usize) -> Error {
        let field = self.fields.get(column);
        let (name, database_type) = field.map_or(("", ""), |f| (&f.name, &f.database_type));
        error.at(name, database_type, Some(row))
    }
}
