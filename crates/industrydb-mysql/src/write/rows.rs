//! Rows by prepared INSERTs of several rows each.

use std::collections::BTreeMap;

use industrydb_core::{Error, Frame, Result, Stop};

use crate::encode::Scratch;
use crate::encode::parameters::push_length;
use crate::session::connect::Session;
use crate::session::prepared::Statement;
use crate::session::run::Answer;
use crate::session::statement::EXECUTE;
use crate::types::described::kind;
use crate::wire::errors::unexpected;
use crate::write::settings::Limits;
use crate::write::target::Target;

/// Largest number of parameters of a statement.
const MOST_PARAMETERS: usize = 65_535;

/// Largest number of rows of a statement.
const MOST_ROWS: usize = 1024;

/// Bytes of values after which a statement is sent.
const BATCH_BYTES: usize = 1 << 20;

/// Inserts all rows into a table, whose quoted name and verb are the start of the statement: `INSERT
/// INTO`, or `REPLACE INTO`.
pub(crate) fn insert(
    session: &mut Session,
    target: &Target,
    into: &str,
    verb: &str,
    frame: &Frame,
    limits: Limits,
    stop: &Stop,
) -> Result<()> {
    let width = target.columns.len();
    let most = MOST_ROWS.min(MOST_PARAMETERS / width);
    if most == 0 {
        return Err(Error::configuration(format!(
            "the data have {width} columns, and a statement of MySQL takes {MOST_PARAMETERS} values"
        )));
    }
    let expressions = target
        .columns
        .iter()
        .map(|column| column.encoding.expression("?"));
    let row = format!("({})", expressions.collect::<Vec<_>>().join(", "));
    let mut writer = Writer {
        session,
        statement: format!("{verb} {into} ({}) VALUES ", target.names()),
        row,
        types: target
            .columns
            .iter()
            .flat_map(|column| {
                if column.encoding.is_binary() {
                    [kind::BLOB, 0]
                } else {
                    [kind::VAR_STRING, 0]
                }
            })
            .collect(),
        prepared: BTreeMap::new(),
        most: 1 << most.ilog2(),
        batch_bytes: BATCH_BYTES.min(limits.packet_bytes / 2),
        packet_bytes: limits.packet_bytes,
        takes_back: limits.takes_back,
        rows: Vec::new(),
        bytes: 0,
        number: 0,
    };
    let written = writer.all(target, frame, stop);
    let closed = writer.close(stop);
    written.and(closed)
}

/// The values of a row as parameters: whether each is NULL, and the bytes of the others.
#[derive(Default)]
struct Row {
    nulls: Vec<bool>,
    bytes: Vec<u8>,
}

struct Writer<'a> {
    session: &'a mut Session,
    /// Statement up to its rows.
    statement: String,
    /// Placeholders of one row.
    row: String,
    /// Types of the parameters of one row.
    types: Vec<u8>,
    /// Statements by their number of rows, which is a power of two.
    prepared: BTreeMap<usize, Statement>,
    /// Largest number of rows of a statement, a power of two.
    most: usize,
    batch_bytes: usize,
    packet_bytes: usize,
    /// See [`Limits::takes_back`].
    takes_back: bool,
    /// Rows that are not sent yet.
    rows: Vec<Row>,
    /// Number of their bytes.
    bytes: usize,
    /// Number of rows that are sent.
    number: usize,
}

impl Writer<'_> {
    fn all(&mut self, target: &Target, frame: &Frame, stop: &Stop) -> Result<()> {
        let mut scratch = Scratch::default();
        for piece in frame.pieces() {
            let (height, cells) = piece?;
            for index in 0..height {
                let number = self.number + self.rows.len() + 1;
                let mut row = Row::default();
                for (column, cells) in target.columns.iter().zip(&cells) {
                    let value = column.value(cells, index, &mut scratch);
                    let value = value.map_err(|error| column.error(error, number))?;
                    row.nulls.push(value.is_none());
                    if let Some(bytes) = value {
                        push_length(bytes.len(), &mut row.bytes);
                        row.bytes.extend_from_slice(bytes);
                    }
                }
                // The server ends the session of a client that sends a longer packet.
                if row.bytes.len() + self.types.len() + 64 > self.packet_bytes {
                    return Err(Error::configuration(format!(
                        "row {number} has {} bytes, and the server takes {} at a time: raise its max_allowed_packet",
                        row.bytes.len(),
                        self.packet_bytes
                    )));
                }
                if self.rows.len() == self.most || self.bytes + row.bytes.len() > self.batch_bytes {
                    self.flush(stop)?;
                }
                self.bytes += row.bytes.len();
                self.rows.push(row);
            }
        }
        self.flush(stop)
    }

    /// Sends the rows, in as few statements as powers of two make their number.
    fn flush(&mut self, stop: &Stop) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(1 << rest.len().ilog2());
            self.send(part, stop)?;
            self.number += part.len();
            rest = behind;
        }
        self.bytes = 0;
        Ok(())
    }

    /// Sends some rows by one statement. If the server refuses it, none of its rows is stored, and
    /// each half is sent by itself, until the refused row is known.
    fn send(&mut self, rows: &[Row], stop: &Stop) -> Result<()> {
        let refused = match self.run(rows, stop) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let is_of_a_row = matches!(
            refused,
            Error::Constraint { .. }
                | Error::Query {
                    is_transient: false,
                    ..
                }
        );
        self.session.look_at_transaction();
        let is_undone = self.takes_back && self.session.in_transaction();
        if !is_of_a_row || self.session.busy || !is_undone {
            return Err(refused);
        }
        if rows.len() == 1 {
            return Err(without_place(refused).context(&format!("row {}", self.number + 1)));
        }
        let (first, second) = rows.split_at(rows.len() / 2);
        self.send(first, stop)?;
        self.number += first.len();
        self.send(second, stop)?;
        self.number -= first.len();
        Ok(())
    }

    fn run(&mut self, rows: &[Row], stop: &Stop) -> Result<()> {
        let count = rows.len();
        if !self.prepared.contains_key(&count) {
            let sql = format!(
                "{}{}",
                self.statement,
                vec![self.row.as_str(); count].join(", ")
            );
            let statement = self.session.prepare(&sql, stop)?;
            self.prepared.insert(count, statement);
        }
        let id = self.prepared[&count].id;
        let nulls = rows.iter().flat_map(|row| &row.nulls);
        let mut body = Vec::with_capacity(self.bytes + count * self.types.len() * 2 + 64);
        body.push(EXECUTE);
        body.extend_from_slice(&id.to_le_bytes());
        body.push(0); // no cursor
        body.extend_from_slice(&1_u32.to_le_bytes()); // once
        let start = body.len();
        body.resize(start + (count * self.types.len() / 2).div_ceil(8), 0);
        for (index, is_null) in nulls.enumerate() {
            body[start + index / 8] |= u8::from(*is_null) << (index % 8);
        }
        body.push(1); // the types follow
        for _ in rows {
            body.extend_from_slice(&self.types);
        }
        for row in rows {
            body.extend_from_slice(&row.bytes);
        }
        self.session.command(&body, stop)?;
        match self.session.answer(None, stop)? {
            Answer::Ended(_) => Ok(()),
            _ => Err(unexpected("the end of an insert")),
        }
    }

    fn close(&mut self, stop: &Stop) -> Result<()> {
        if !self.session.busy {
            for statement in self.prepared.values() {
                self.session.close(statement, stop)?;
            }
        }
        Ok(())
    }
}

/// Removes the row of the statement from a message: it is the only one.
fn without_place(mut error: Error) -> Error {
    if let Error::Query { message, .. } | Error::Constraint { message, .. } = &mut error {
        *message = message.replace(" at row 1", "");
    }
    error
}
