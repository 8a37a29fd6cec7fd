//! The trait of sinks, which take the values of a result.

use industrydb_core::scalar::Scalar;
use industrydb_core::{CellError, CellResult, Error};

/// Takes the values of a result, row by row.
pub(crate) trait Sink: Send {
    /// Takes the value of a column, `None` for a NULL.
    fn push(&mut self, column: usize, value: Option<Scalar>) -> CellResult;

    /// Takes a point in time, and how many minutes its zone is ahead of UTC.
    fn push_zoned(&mut self, column: usize, value: Scalar, _minutes: i16) -> CellResult {
        self.push(column, Some(value))
    }

    /// Takes a vector.
    fn push_vector(&mut self, column: usize, values: &[f32]) -> CellResult {
        let text = format!("{values:?}");
        self.push(column, Some(Scalar::Text(text.as_bytes())))
    }

    /// Adds column and row to an error.
    fn located(&self, column: usize, error: Box<CellError>, row: usize) -> Error;
}
