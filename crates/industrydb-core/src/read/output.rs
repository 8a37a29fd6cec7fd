//! Where the rows of a partition go while it is read.

use super::meter::Meter;
use crate::base::error::{Error, Result};
use crate::data::chunk::Chunk;

/// Large values make a batch before its rows are as many as were asked for: memory is bounded by
/// this for each worker.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// Takes the rows of one partition, a batch at a time.
pub struct Output<'a> {
    batch_rows: usize,
    kind: Kind,
    /// What is measured of the partition.
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
    /// After how many rows a connector looks at what takes time to look at: who has stopped it, how
    /// large a batch is.
    pub const ROWS_BETWEEN_LOOKS: usize = 64;

    /// Hands batches of `batch_rows` rows to `take`, and the rest in a last one, which may be
    /// empty.
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

    /// Hands over batches of which only the types matter.
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

    /// Has `read` hand over all its rows as one chunk, and returns it.
    ///
    /// # Errors
    ///
    /// That of `read`.
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

    /// How many rows make a batch.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// How many bytes make a batch of fewer rows.
    pub fn batch_bytes(&self) -> usize {
        if self.is_whole() {
            usize::MAX
        } else {
            MAX_BATCH_BYTES
        }
    }

    /// Whether all rows are one chunk, whose columns have the types that all of its values need.
    pub fn is_whole(&self) -> bool {
        self.kind == Kind::Whole
    }

    /// Whether a value may still change the type of its column.
    pub fn may_widen(&self) -> bool {
        self.kind != Kind::Batches
    }

    /// Hands a batch over, which may wait for the one who takes it.
    ///
    /// # Errors
    ///
    /// Where nobody takes it any more, or its columns have not the types that were announced.
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
