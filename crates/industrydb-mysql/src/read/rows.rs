//! Splits the rows of a result into values and decodes them: the loop that handles every cell.
//!
//! Each row is a packet: a zero, a bitmap of the NULLs, and the values that are not NULL.

use std::borrow::Cow;

use industrydb_core::{CellError, Chunk, Error, Field, Output, Result, Stop};

use crate::columns::ColumnDecoder;
use crate::config::options::ZeroDates;
use crate::session::connect::Session;
use crate::types::{Decoding, DescribedColumn, decoding, type_of};
use crate::wire::errors::unexpected;
use crate::wire::packet::{self, Bytes, ERROR, Ended, is_end};

/// Number of bits of a row's bitmap in front of the first column's.
const RESERVED_BITS: usize = 2;

/// Picks the decoding of each described column, and makes its field.
pub(crate) fn fields(columns: &[DescribedColumn]) -> Result<Vec<(Field, Decoding)>> {
    let field = |column: &DescribedColumn| {
        let database_type = type_of(column);
        let Some(decoding) = decoding(column) else {
            return Err(Error::configuration(format!(
                "column {:?} has the unknown type {database_type}: cast it in the query, such as to CHAR",
                column.name
            )));
        };
        let field = Field::new(&column.name, &database_type, decoding.column_type());
        Ok((field, decoding))
    };
    columns.iter().map(field).collect()
}

/// Decodes the rows of a result, hands over full batches, and returns the last one, with the end of
/// the result.
pub(crate) fn collect(
    session: &mut Session,
    mut rows: Rows,
    output: &mut Output,
    stop: &Stop,
) -> Result<(Chunk, Ended)> {
    let (batch_rows, batch_bytes) = (output.batch_rows(), output.batch_bytes());
    let mut received = 0;
    output.meter.add_bytes(session.wire.waiting()); // rows that arrived with the columns
    loop {
        let Some(packet) = session.wire.arrived()? else {
            stop.check()?;
            output.meter.has_read(rows.before + rows.height);
            let count = output.meter.waiting(|| session.wire.fill(stop))?;
            output.meter.add_bytes(count);
            continue;
        };
        let body = session.wire.body(packet);
        match body.first() {
            Some(0) => {
                received += body.len();
                rows.decode(body)?;
                if rows.height >= batch_rows || received >= batch_bytes {
                    output.push(rows.take())?;
                    received = 0;
                }
            }
            Some(&ERROR) => return Err(session.failed(packet)),
            _ if is_end(body) => {
                let ended = packet::ended(body)?;
                session.end(ended);
                output.meter.has_read(rows.before + rows.height);
                return Ok((rows.take(), ended));
            }
            _ => return Err(unexpected("a row")),
        }
    }
}

/// The columns of one partition while they are built.
pub(crate) struct Rows<'a> {
    fields: Cow<'a, [Field]>,
    decodings: Cow<'a, [Decoding]>,
    zero_dates: ZeroDates,
    columns: Vec<ColumnDecoder>,
    /// Number of rows since the last batch.
    height: usize,
    /// Number of rows in the earlier batches.
    before: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        fields: impl Into<Cow<'a, [Field]>>,
        decodings: impl Into<Cow<'a, [Decoding]>>,
        zero_dates: ZeroDates,
    ) -> Self {
        let decodings = decodings.into();
        Self {
            columns: decoders(&decodings, zero_dates),
            fields: fields.into(),
            decodings,
            zero_dates,
            height: 0,
            before: 0,
        }
    }

    /// Decodes the row of one packet.
    #[inline]
    fn decode(&mut self, body: &[u8]) -> Result<()> {
        let bitmap = (self.columns.len() + RESERVED_BITS).div_ceil(8);
        let Some((head, values)) = body.split_at_checked(1 + bitmap) else {
            return Err(unexpected("a whole row"));
        };
        let nulls = &head[1..];
        let mut values = Bytes(values);
        for (index, column) in self.columns.iter_mut().enumerate() {
            let bit = index + RESERVED_BITS;
            if nulls[bit / 8] >> (bit % 8) & 1 == 1 {
                column.push_null();
            } else if let Err(error) = column.decode(&mut values) {
                return Err(self.located(index, error));
            }
        }
        if !values.0.is_empty() {
            return Err(unexpected("the end of a row"));
        }
        self.height += 1;
        Ok(())
    }

    #[cold]
    fn located(&self, index: usize, error: Box<CellError>) -> Error {
        let field = self.fields.get(index);
        let (name, database_type) = field.map_or(("", ""), |f| (&f.name, &f.database_type));
        error.at(name, database_type, Some(self.before + self.height + 1))
    }

    /// Takes the rows since the last batch.
    fn take(&mut self) -> Chunk {
        let empty = decoders(&self.decodings, self.zero_dates);
        let columns = std::mem::replace(&mut self.columns, empty);
        let height = std::mem::take(&mut self.height);
        self.before += height;
        Chunk {
            height,
            columns: columns.into_iter().map(ColumnDecoder::finish).collect(),
        }
    }
}

fn decoders(decodings: &[Decoding], zero_dates: ZeroDates) -> Vec<ColumnDecoder> {
    let decoder = |decoding| ColumnDecoder::new(decoding, zero_dates);
    decodings.iter().map(decoder).collect()
}
