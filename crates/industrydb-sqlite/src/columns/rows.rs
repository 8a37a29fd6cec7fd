//! Reads rows and appends every value to its column's decoder.

use industrydb_core::{CellError, Chunk, ColumnType, Error, Field, Output, Result, Stop};

use crate::columns::ColumnDecoder;
use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::ffi::row::Cell;
use crate::types::ColumnKind;

/// Reads all rows by `pass`, which pushes each row. If a value does not fit its column, the rest of
/// the pass finds out which types all columns need, and another pass builds them. Types only ever
/// widen, so the passes come to an end; there is nearly always one, seldom a second.
///
/// If rows are handed over in batches, the first batches are gone before the rest is known, so that
/// a value which does not fit is an error.
pub(crate) fn read(
    fields: &[Field],
    kinds: &[ColumnKind],
    output: &mut Output,
    stop: &Stop,
    mut pass: impl FnMut(&mut Filling) -> Result<()>,
) -> Result<()> {
    loop {
        let mut filling = Filling::new(fields, kinds, output, stop);
        pass(&mut filling)?;
        if let Some(chunk) = filling.finish() {
            return output.push(chunk);
        }
        log::debug!("a column needs a wider type than it was declared with; reading again");
    }
}

/// Reads all rows of a cursor. At its first row, each pass checks that the columns are still those
/// of the cursor.
pub(crate) fn step(
    cursor: &mut Cursor,
    fields: &[Field],
    kinds: &[ColumnKind],
    output: &mut Output,
    stop: &Stop,
) -> Result<()> {
    let columns = cursor.columns();
    read(fields, kinds, output, stop, |filling| {
        cursor.rewind();
        let mut found = cursor.first()?;
        Declaration::reject_changed(&columns, &cursor.columns())?;
        while found {
            let row = cursor.row();
            filling.push((0..).map(|index| row.value(index)))?;
            found = cursor.step()?;
        }
        Ok(())
    })
}

/// Returns whether a column has widened since the chunk's reading began. A column of NULLs fits any
/// type.
pub(crate) fn is_stale(chunk: &Chunk, kinds: &[ColumnKind]) -> bool {
    chunk.columns.iter().zip(kinds).any(|(column, kind)| {
        column.column_type != ColumnType::Null && column.column_type != kind.column_type()
    })
}

/// One pass over the rows, with the decoders of the rows since the last batch.
pub(crate) struct Filling<'f, 'o> {
    fields: &'f [Field],
    kinds: &'f [ColumnKind],
    output: &'f mut Output<'o>,
    stop: &'f Stop,
    columns: Vec<ColumnDecoder<'f>>,
    /// Number of rows in the earlier batches.
    before: usize,
    height: usize,
    batch_rows: usize,
    batch_bytes: usize,
}

impl<'f, 'o> Filling<'f, 'o> {
    fn new(
        fields: &'f [Field],
        kinds: &'f [ColumnKind],
        output: &'f mut Output<'o>,
        stop: &'f Stop,
    ) -> Self {
        Self {
            columns: empty(kinds, output.may_widen()),
            batch_rows: output.batch_rows(),
            batch_bytes: output.batch_bytes(),
            before: 0,
            height: 0,
            fields,
            kinds,
            output,
            stop,
        }
    }

    /// Appends a row, with the values of its columns in order.
    #[inline]
    pub(crate) fn push<'v>(&mut self, values: impl Iterator<Item = Cell<'v>>) -> Result<()> {
        for (index, (column, value)) in self.columns.iter_mut().zip(values).enumerate() {
            if let Err(error) = column.push(value) {
                return Err(self.located(error, index));
            }
        }
        self.height += 1;
        if self.height.is_multiple_of(Output::ROWS_BETWEEN_LOOKS) || self.height == self.batch_rows
        {
            self.look()?;
        }
        Ok(())
    }

    /// Appends rows one column at a time, which is faster; errors are the same as row by row.
    /// `value` returns, for the index of a column, a function from the index of a row to the
    /// column's value.
    #[inline]
    pub(crate) fn push_rows<'v, V: Fn(usize) -> Cell<'v>>(
        &mut self,
        rows: usize,
        value: impl Fn(usize) -> V,
    ) -> Result<()> {
        let mut from = 0;
        while from < rows {
            let looks = Output::ROWS_BETWEEN_LOOKS;
            let room = (looks - self.height % looks).min(self.batch_rows - self.height);
            let mut until = rows.min(from + room);
            let mut first = None;
            for (index, column) in self.columns.iter_mut().enumerate() {
                if let Err((row, error)) = column.extend((from..until).map(value(index))) {
                    // The other columns are read only up to this row: an error in an earlier row
                    // comes first.
                    until = from + row;
                    first = Some((index, error));
                }
            }
            self.height += until - from;
            if let Some((index, error)) = first {
                return Err(self.located(error, index));
            }
            from = until;
            if self.height.is_multiple_of(looks) || self.height == self.batch_rows {
                self.look()?;
            }
        }
        Ok(())
    }

    /// Adds the column and the row number to an error.
    #[cold]
    fn located(&self, error: Box<CellError>, column: usize) -> Error {
        let row = self.before + self.height + 1;
        let field = self.fields.get(column);
        let (name, database_type) =
            field.map_or(("", ""), |field| (&field.name, &field.database_type));
        error.at(name, database_type, Some(row))
    }

    /// Makes the checks that take too long for every row, and hands over a full batch.
    fn look(&mut self) -> Result<()> {
        let mut is_full = self.height == self.batch_rows;
        if self.height.is_multiple_of(Output::ROWS_BETWEEN_LOOKS) {
            self.stop.check()?;
            self.output.meter.has_read(self.before + self.height);
            let long: usize = self.columns.iter().map(ColumnDecoder::long_bytes).sum();
            is_full |= long >= self.batch_bytes;
        }
        if is_full {
            let new = empty(self.kinds, self.output.may_widen());
            let columns = std::mem::replace(&mut self.columns, new);
            self.output.push(chunk(columns, self.height))?;
            self.before += self.height;
            self.height = 0;
        }
        Ok(())
    }

    /// Returns the last batch; `None` if a column could not keep all its values, or has widened
    /// meanwhile.
    fn finish(self) -> Option<Chunk> {
        self.output.meter.has_read(self.before + self.height);
        if !self.output.is_whole() {
            return Some(chunk(self.columns, self.height));
        }
        if self.columns.iter().any(|column| column.incomplete) {
            return None;
        }
        let chunk = chunk(self.columns, self.height);
        (!is_stale(&chunk, self.kinds)).then_some(chunk)
    }
}

fn empty(kinds: &[ColumnKind], widens: bool) -> Vec<ColumnDecoder<'_>> {
    kinds
        .iter()
        .map(|kind| ColumnDecoder::new(kind, widens))
        .collect()
}

fn chunk(columns: Vec<ColumnDecoder>, height: usize) -> Chunk {
    Chunk {
        height,
        columns: columns.into_iter().map(ColumnDecoder::finish).collect(),
    }
}
