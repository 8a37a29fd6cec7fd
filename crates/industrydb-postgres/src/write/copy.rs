//! Sends rows by a binary COPY.

use industrydb_core::{Error, Frame, Result, Stop};
use postgres_protocol::message::backend::{COPY_DATA_TAG, Message};
use postgres_protocol::message::frontend;

use crate::encode::Encoding;
use crate::session::connect::Session;
use crate::sql::dialect::quoted;
use crate::wire::Format;
use crate::wire::errors::protocol;

/// Start of every binary COPY.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Number of bytes that are collected before they are sent to the server.
const MESSAGE_BYTES: usize = 256 << 10;

/// A column that is written.
pub(super) struct Column {
    pub(super) name: String,
    /// OID of the column's type in the table.
    pub(super) oid: u32,
    /// Name of the column's type in the table.
    pub(super) type_name: String,
    pub(super) is_key: bool,
    pub(super) encoding: Encoding,
    /// Type of the column in the temporary table.
    pub(super) stage: String,
    /// Whether the server must cast the values to the type in the table.
    pub(super) is_cast: bool,
    /// Expression by which the INSERT from the temporary table gets the value.
    pub(super) expression: String,
}

/// Sends all rows; returns the number of rows that the server says it has written.
pub(super) fn copy(
    session: &mut Session,
    target: &str,
    columns: &[Column],
    frame: &Frame,
    stop: &Stop,
) -> Result<u64> {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let sql = format!(
        "COPY {target} ({}) FROM STDIN (FORMAT binary)",
        names.join(", ")
    );
    session.start(&sql, &[], Format::Binary, stop)?;
    loop {
        match session.receive(stop)? {
            Message::CopyInResponse(_) => break,
            Message::ErrorResponse(body) => return Err(session.fail(&body, stop)),
            _ => {}
        }
    }
    match send_rows(session, columns, frame, stop) {
        Ok(()) => completed(session, stop),
        Err(error @ (Error::Conversion(_) | Error::Configuration(_))) => {
            session.send(stop, |buffer| {
                frontend::copy_fail("a value does not fit", buffer)
            })?;
            session.finish(stop)?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Sends rows until all are sent, or the server has given up.
fn send_rows(session: &mut Session, columns: &[Column], frame: &Frame, stop: &Stop) -> Result<()> {
    let width = i16::try_from(columns.len())
        .map_err(|_| Error::configuration("PostgreSQL has no table of so many columns"))?;
    let mut rows = Vec::with_capacity(2 * MESSAGE_BYTES);
    rows.extend(SIGNATURE);
    rows.extend([0; 8]); // no flags, no extension
    let mut number = 0;
    for piece in frame.pieces() {
        let (height, cells) = piece?;
        for row in 0..height {
            number += 1;
            rows.extend(width.to_be_bytes());
            for (column, cells) in columns.iter().zip(&cells) {
                column
                    .encoding
                    .write(cells, row, &mut rows)
                    .map_err(|error| error.at(&column.name, &column.type_name, Some(number)))?;
            }
            if rows.len() >= MESSAGE_BYTES && send(session, &mut rows, stop)? {
                return Ok(()); // the server will say why
            }
        }
    }
    rows.extend((-1_i16).to_be_bytes());
    if send(session, &mut rows, stop)? {
        return Ok(());
    }
    session.send(stop, |buffer| {
        frontend::copy_done(buffer);
        Ok(())
    })
}

/// Sends the bytes that are collected, and clears the buffer; returns whether the server has given
/// up. Messages need not end where rows do.
fn send(session: &mut Session, rows: &mut Vec<u8>, stop: &Stop) -> Result<bool> {
    let wire = &mut session.wire;
    for part in rows.chunks(2 * MESSAGE_BYTES) {
        // The length counts itself.
        let length = u32::try_from(part.len() + 4)
            .unwrap_or_default()
            .to_be_bytes();
        let [a, b, c, d] = length;
        let sent = wire
            .send_listening(&[COPY_DATA_TAG, a, b, c, d], stop)
            .and_then(|()| wire.send_listening(part, stop));
        // A server that ends the session says why before it goes.
        match (sent, wire.listen(stop)) {
            (_, Ok(true)) => return Ok(true),
            (Ok(()), heard) => heard?,
            (Err(error), _) => return Err(error),
        };
    }
    rows.clear();
    Ok(false)
}

/// Waits for the end of a statement that returns no rows; returns the number of rows that it has
/// changed.
pub(super) fn completed(session: &mut Session, stop: &Stop) -> Result<u64> {
    let mut written = 0;
    loop {
        match session.receive(stop)? {
            Message::CommandComplete(body) => {
                let tag = body.tag().map_err(|e| protocol(&e))?;
                let digits = tag.rsplit(' ').next().unwrap_or_default();
                written = digits.parse().unwrap_or_default();
            }
            Message::ErrorResponse(body) => return Err(session.fail(&body, stop)),
            Message::ReadyForQuery(body) => {
                session.ready(body.status());
                return Ok(written);
            }
            _ => {}
        }
    }
}
