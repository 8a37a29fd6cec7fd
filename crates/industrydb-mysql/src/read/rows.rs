//! Splits the rows of a result into values and decodes them: the loop that handles every cell.
//!
//! Each row is a packet: a zero, a bitmap of the NULLs, and the values that are not NULL.

use std::borrow::Cow;

use industrydb_core::{CellError, Chunk, Error, Field, Output, Result, Stop};

use crate::columns::ColumnDecoder;
use crate::config::options::ZeroDates;
use crate::session::connect::Session;
use crate::types::{Decoding, DescribedColumn, decoding, type_of};
use crate::wire::bytes::Bytes;
use crate::wire::errors::unexpected;
use crate::wire::packet::{self, ERROR, Ended, is_end};

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
    pub(crate) fn decode(&mut self, body: &[u8]) -> Result<()> {
        let bitmap = (self.columns.len() + RESERVED_BITS).div_ceil(8);
        let Some((head, values)) = body.split_at_checked(1 + bitmap) else {
            return Err(unexpected("a whole row"));
        };
        let nulls = &head[1..];
        let has_nulls = nulls.iter().any(|bits| *bits != 0);
        let mut values = Bytes(values);
        for (index, column) in self.columns.iter_mut().enumerate() {
            let bit = index + RESERVED_BITS;
            if has_nulls && nulls[bit / 8] >> (bit % 8) & 1 == 1 {
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
    pub(crate) fn take(&mut self) -> Chunk {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::described::kind;

    fn column(name: &str, kind: u8) -> DescribedColumn {
        DescribedColumn {
            name: name.to_owned(),
            kind,
            length: 11,
            charset: 45,
            ..DescribedColumn::default()
        }
    }

    /// Decodes rows of an `int`, a `varchar`, a `date` and a `time`.
    fn decoded(bodies: &[&[u8]]) -> Result<Chunk> {
        let kinds = [kind::LONG, kind::VAR_STRING, kind::DATE, kind::TIME];
        let columns = kinds.map(|kind| column("c", kind));
        let (fields, decodings): (Vec<Field>, Vec<Decoding>) =
            fields(&columns)?.into_iter().unzip();
        let mut rows = Rows::new(fields, decodings, ZeroDates::Error);
        for body in bodies {
            rows.decode(body)?;
        }
        Ok(rows.take())
    }

    /// Rows that MariaDB 10.11 sent for SELECT -2, 'ab', DATE'2024-02-29', TIME'-01:00:00', and for
    /// four NULLs.
    #[test]
    fn rows_are_values_behind_the_bitmap_of_nulls() {
        let full = b"\0\0\xfe\xff\xff\xff\x02ab\x04\xe8\x07\x02\x1d\x08\x01\0\0\0\0\x01\0\0";
        let chunk = decoded(&[full, b"\0\x3c"]).expect("two rows");
        assert_eq!(chunk.height, 2);
        let shown: Vec<String> = chunk
            .columns
            .iter()
            .map(|c| format!("{:?}", c.array))
            .collect();
        assert_eq!(
            shown,
            [
                "Int32[-2, None]",
                "Utf8ViewArray[ab, None]",
                "Int32[19782, None]",
                "Int64[-3600000000, None]"
            ]
        );
    }

    /// The bytes are written after the documentation, since no server here has the type.
    #[test]
    fn vectors_are_lists_of_floats() {
        let mysql = column("v", kind::VECTOR);
        let mariadb = DescribedColumn {
            extended: "vector".to_owned(),
            ..column("v", kind::VAR_STRING)
        };
        for column in [mysql, mariadb] {
            let (fields, decodings): (Vec<Field>, Vec<Decoding>) =
                fields(&[column]).expect("a type").into_iter().unzip();
            assert_eq!(fields[0].database_type, "vector");
            let decoded = |bodies: &[&[u8]]| {
                let mut rows = Rows::new(&fields[..], &decodings[..], ZeroDates::Error);
                bodies.iter().try_for_each(|body| rows.decode(body))?;
                Ok::<_, Error>(rows.take())
            };
            let full = b"\0\0\x08\0\0\x80\x3f\0\0\x20\xc0";
            let chunk = decoded(&[full, b"\0\x04", b"\0\0\0"]).expect("three rows");
            let shown = format!("{:?}", chunk.columns[0].array);
            assert_eq!(shown, "LargeListArray[[1, -2.5], None, []]");
            let error = decoded(&[b"\0\0\x03\0\0\0"]).err().expect("three bytes");
            assert!(error.to_string().contains("no vector"), "{error}");
        }
    }

    #[test]
    fn a_row_has_exactly_its_values() {
        let full = b"\0\0\xfe\xff\xff\xff\x02ab\x04\xe8\x07\x02\x1d\x08\x01\0\0\0\0\x01\0\0";
        for length in 0..full.len() {
            assert!(decoded(&[&full[..length]]).is_err(), "{length}");
        }
        let error = decoded(&[&[full.as_slice(), b"\0"].concat()]);
        assert!(matches!(error, Err(Error::Connection { .. })));
        let error = decoded(&[b"\0\x2c\0"])
            .err()
            .expect("a zero date")
            .to_string();
        assert!(
            error.contains("0000-00-00") && error.contains("row 1"),
            "{error}"
        );
    }
}
