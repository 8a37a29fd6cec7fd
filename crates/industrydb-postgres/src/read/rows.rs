//! Splits the rows of a result into fields and decodes them: the loop that handles every cell.
//!
//! Each row is a message: a count of fields, and for each field its length and bytes.
//! Format: <https://www.postgresql.org/docs/current/protocol-message-formats.html>, `DataRow`

use industrydb_core::{CellError, CellResult, Chunk, Error, Field, Output, Result, Stop};
use postgres_protocol::message::backend::{
    BIND_COMPLETE_TAG, COMMAND_COMPLETE_TAG, DATA_ROW_TAG, ERROR_RESPONSE_TAG, Message,
    NOTICE_RESPONSE_TAG, NOTIFICATION_RESPONSE_TAG, PARAMETER_STATUS_TAG, PARSE_COMPLETE_TAG,
    PORTAL_SUSPENDED_TAG, ROW_DESCRIPTION_TAG,
};

use crate::columns::ColumnDecoder;
use crate::session::connect::Session;
use crate::types::Decoding;
use crate::wire::Buffer;
use crate::wire::errors::{protocol, unexpected};

/// Returns how many rows a session asks for at once, so that a read that ends early leaves few to be
/// received.
pub(crate) fn asked_rows(output: &Output) -> i32 {
    const FEWEST: usize = 1_024;
    i32::try_from(output.batch_rows().max(FEWEST)).unwrap_or(i32::MAX)
}

/// Decodes the rows of the next statement that was sent, and returns the last batch of them. The
/// answers to later statements are still to be received.
pub(crate) fn collect(
    session: &mut Session,
    mut rows: Rows,
    output: &mut Output,
    stop: &Stop,
) -> Result<Chunk> {
    let (batch_rows, batch_bytes) = (output.batch_rows(), output.batch_bytes());
    let mut received = 0;
    let asked = asked_rows(output);
    let mut answered = 0; // rows of the earlier answers, of a statement whose rows are asked for
    output.meter.add_bytes(session.wire.waiting()); // rows that arrived with earlier answers
    loop {
        let Some(message) = session.wire.arrived()? else {
            stop.check()?;
            output.meter.has_read(rows.before + rows.height);
            let count = output.meter.waiting(|| session.wire.fill(stop))?;
            output.meter.add_bytes(count);
            continue;
        };
        match message.tag {
            DATA_ROW_TAG => {
                let body = session.wire.body(message);
                received += body.len();
                rows.decode(body)?;
                if rows.height >= batch_rows || received >= batch_bytes {
                    output.push(rows.take())?;
                    received = 0;
                }
            }
            COMMAND_COMPLETE_TAG => {
                // Some statements, such as SHOW, are complete without a count.
                let arrived = rows.before + rows.height;
                let counted = row_count(session.wire.body(message))?;
                output.meter.has_read(arrived);
                return rows.finish(counted.map_or(Some(arrived), |n| n.checked_add(answered)));
            }
            PORTAL_SUSPENDED_TAG if session.is_asking => {
                let arrived = rows.before + rows.height;
                if usize::try_from(asked) != Ok(arrived - answered) {
                    return Err(unexpected(&format!(
                        "{asked} rows, got {}",
                        arrived - answered
                    )));
                }
                answered = arrived;
                session.ask_again(asked, stop)?;
            }
            ERROR_RESPONSE_TAG => {
                let mut bytes = Buffer::from(session.wire.whole(message));
                return Err(match Message::parse(&mut bytes) {
                    Ok(Some(Message::ErrorResponse(body))) => session.fail(&body, stop),
                    Ok(_) => unexpected("an error"),
                    Err(error) => protocol(&error),
                });
            }
            // The last two may come at any time.
            PARSE_COMPLETE_TAG
            | BIND_COMPLETE_TAG
            | ROW_DESCRIPTION_TAG
            | NOTICE_RESPONSE_TAG
            | NOTIFICATION_RESPONSE_TAG => {}
            PARAMETER_STATUS_TAG => {
                let mut bytes = Buffer::from(session.wire.whole(message));
                if let Ok(Some(Message::ParameterStatus(body))) = Message::parse(&mut bytes) {
                    session.note(&body);
                    session.check_encoding()?;
                }
            }
            _ => return Err(unexpected("rows")),
        }
    }
}

/// Returns the number at the end of a tag such as `COPY n`, `SELECT n` or `INSERT 0 n`, if it has
/// one.
fn row_count(body: &[u8]) -> Result<Option<usize>> {
    let tag = body
        .strip_suffix(b"\0")
        .and_then(|tag| std::str::from_utf8(tag).ok())
        .ok_or_else(|| unexpected("the end of the rows"))?;
    let last = tag.rsplit(' ').next().unwrap_or_default();
    if last.is_empty() || !last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let count = last.parse();
    count
        .map(Some)
        .map_err(|_| unexpected("the number of rows"))
}

/// The columns of one partition while they are built.
pub(crate) struct Rows<'a> {
    fields: &'a [Field],
    decodings: &'a [Decoding],
    columns: Vec<ColumnDecoder>,
    pub(crate) height: usize,
    /// Number of rows in the earlier batches.
    before: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(fields: &'a [Field], decodings: &'a [Decoding]) -> Self {
        Self {
            fields,
            decodings,
            columns: decodings.iter().map(ColumnDecoder::new).collect(),
            height: 0,
            before: 0,
        }
    }

    /// Decodes the row of one message.
    #[inline]
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<()> {
        let Some((count, mut rest)) = bytes.split_first_chunk() else {
            return Err(unexpected("a row"));
        };
        let count = i16::from_be_bytes(*count);
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(self.misfit(count));
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            match cell(column, rest) {
                Ok(behind) => rest = behind,
                Err(error) => {
                    let field = &self.fields[index];
                    let row = Some(self.before + self.height + 1);
                    return Err(error.at(&field.name, &field.database_type, row));
                }
            }
        }
        if !rest.is_empty() {
            return Err(unexpected("the end of a row"));
        }
        self.height += 1;
        Ok(())
    }

    #[cold]
    fn misfit(&self, count: i16) -> Error {
        let columns = self.columns.len();
        unexpected(&format!("a row of {columns} fields, got {count}"))
    }

    pub(crate) fn finish(mut self, counted_by_server: Option<usize>) -> Result<Chunk> {
        let arrived = self.before + self.height;
        if counted_by_server != Some(arrived) {
            return Err(Error::connection(format!(
                "the server's rows are not complete: it counted {counted_by_server:?}, and {arrived} \
                 arrived"
            )));
        }
        Ok(self.take())
    }

    /// Takes the rows since the last batch.
    fn take(&mut self) -> Chunk {
        let empty = self.decodings.iter().map(ColumnDecoder::new).collect();
        let columns = std::mem::replace(&mut self.columns, empty);
        let height = std::mem::take(&mut self.height);
        self.before += height;
        Chunk {
            height,
            columns: columns.into_iter().map(ColumnDecoder::finish).collect(),
        }
    }
}

/// Decodes one field and returns the bytes after it.
#[inline]
fn cell<'b>(column: &mut ColumnDecoder, bytes: &'b [u8]) -> CellResult<&'b [u8]> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Err(CellError::malformed("the row ends in front of it"));
    };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(length) => {
            let Some((field, rest)) = rest.split_at_checked(length) else {
                return Err(CellError::malformed("the row ends within it"));
            };
            column.decode(field)?;
            Ok(rest)
        }
        Err(_) if length == -1 => {
            column.push_null();
            Ok(rest)
        }
        Err(_) => Err(CellError::malformed("it has a negative length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::array::PrimitiveArray;

    /// Bodies of the messages of `VALUES (1, 'a'), (NULL, 'bc')`.
    const MESSAGES: [&[u8]; 2] = [
        b"\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x01a",
        b"\0\x02\xff\xff\xff\xff\0\0\0\x02bc",
    ];

    fn decode(messages: &[&[u8]], counted: usize) -> Result<Chunk> {
        let decodings = [Decoding::Int4, Decoding::Text];
        let fields = [("n", &decodings[0]), ("t", &decodings[1])]
            .map(|(name, decoding)| Field::new(name, "", decoding.column_type()));
        let mut rows = Rows::new(&fields, &decodings);
        for message in messages {
            rows.decode(message)?;
        }
        rows.finish(Some(counted))
    }

    #[test]
    fn captured_rows_are_decoded() {
        let chunk = decode(&MESSAGES, 2).expect("rows");
        assert_eq!(chunk.height, 2);
        let numbers = chunk.columns[0].array.as_any();
        let numbers = numbers.downcast_ref::<PrimitiveArray<i32>>().expect("i32");
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [Some(&1), None]);
        assert_eq!(chunk.columns[1].array.null_count(), 0);
    }

    #[test]
    fn rows_that_are_miscounted_or_too_long_are_an_error() {
        decode(&MESSAGES, 3).err().expect("a row is missing");
        let long = [MESSAGES[0], b"\0"].concat();
        decode(&[&long], 1).err().expect("a byte too many");
    }

    #[test]
    fn every_cut_and_every_flipped_byte_gives_a_row_or_an_error() {
        let row = MESSAGES[0];
        for end in 0..row.len() {
            decode(&[&row[..end]], 1).err().expect("cut off");
        }
        for at in 0..row.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = row.to_vec();
                bytes[at] = byte;
                let _ = decode(&[&bytes], 1);
            }
        }
    }
}
