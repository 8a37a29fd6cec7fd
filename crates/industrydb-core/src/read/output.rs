//! Destination of a partition's rows while it is read.

use super::meter::Meter;
use crate::base::error::{Error, Result};
use crate::data::chunk::Chunk;

/// Size in bytes at which a batch of large values is handed over, even if it has fewer rows than
/// were asked for. It bounds the memory of each worker.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// Takes the rows of one partition, a batch at a time.
pub struct Output<'a> {
    batch_rows: usize,
    kind: Kind,
    /// Measurements of the partition.
    pub meter: &'a Meter,
    take: &'a mut dyn FnMut(Chunk) -> Result<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Whole,
    Batches,
    Measure,
}

impl<'a> Output<'a> {
    /// Number of rows between two checks that take a connector some time: of the stop signal, and
    /// of the size of the batch.
    pub const ROWS_BETWEEN_LOOKS: usize = 64;

    /// Creates an output that hands batches of `batch_rows` rows to `take`. The last batch has the
    /// remaining rows and may be empty.
    pub fn batches(
        batch_rows: usize,
        meter: &'a Meter,
        take: &'a mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Self {
        Self {
            batch_rows: batch_rows.max(1),
            kind: Kind::Batches,
            meter,
            take,
        }
    }

    /// Creates an output for batches whose column types are needed and whose rows are not.
    pub fn measure(
        batch_rows: usize,
        meter: &'a Meter,
        take: &'a mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Self {
        Self {
            kind: Kind::Measure,
            ..Self::batches(batch_rows, meter, take)
        }
    }

    /// Runs `read` with an output for all rows as one chunk, and returns the chunk.
    ///
    /// # Errors
    ///
    /// The error of `read`; [`Error::Internal`] if `read` hands over no chunk.
    pub fn whole(meter: &Meter, read: impl FnOnce(&mut Output) -> Result<()>) -> Result<Chunk> {
        let mut all = None;
        let mut take = |chunk| {
            all = Some(chunk);
            Ok(())
        };
        read(&mut Output {
            kind: Kind::Whole,
            ..Output::batches(usize::MAX, meter, &mut take)
        })?;
        all.ok_or_else(|| Error::Internal("a read ended without a chunk".to_owned()))
    }

    /// Returns the number of rows of a full batch.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Returns the size in bytes at which a batch with fewer rows is full.
    pub fn batch_bytes(&self) -> usize {
        if self.is_whole() {
            usize::MAX
        } else {
            MAX_BATCH_BYTES
        }
    }

    /// Returns whether all rows become one chunk, whose columns have the types that all of their
    /// values need.
    pub fn is_whole(&self) -> bool {
        self.kind == Kind::Whole
    }

    /// Returns whether a value may still change the type of its column.
    pub fn may_widen(&self) -> bool {
        self.kind != Kind::Batches
    }

    /// Hands over a batch; may wait until the consumer takes it.
    ///
    /// # Errors
    ///
    /// If the batches are no longer taken, or a column does not have the announced type.
    pub fn push(&mut self, chunk: Chunk) -> Result<()> {
        (self.take)(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_without_a_chunk_is_an_error() {
        let none = Output::whole(&Meter::default(), |_| Ok(()));
        assert!(matches!(none, Err(Error::Internal(_))));
    }
}
