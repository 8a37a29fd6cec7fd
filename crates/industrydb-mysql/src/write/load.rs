//! Rows as the file of a `LOAD DATA LOCAL INFILE`, made in memory.

use industrydb_core::frame::Cells;
use industrydb_core::{Error, Frame, Result, Stop};

use crate::encode::Scratch;
use crate::session::connect::Session;
use crate::sql::dialect::quoted;
use crate::write::settings::Limits;
use crate::write::target::{Column, Target};

/// Name of the file that the server is to ask for.
const FILE: &str = "industrydb rows";

/// Bytes of the file that are sent at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Most bytes that are saved for the header of a packet.
const HEADER_BYTES: usize = 64;

/// Loads all rows; returns whether the server stored every one as it was given.
///
/// A server that loads a client's file skips rows that break a constraint, and truncates values: in
/// the middle of a file it could not stop the client. It warns of each; the caller then takes the
/// rows back, and inserts them in a way that has errors.
pub(crate) fn load(
    session: &mut Session,
    target: &Target,
    into: &str,
    replaces: bool,
    frame: &Frame,
    limits: Limits,
    stop: &Stop,
) -> Result<bool> {
    let mut rows = Rows {
        columns: &target.columns,
        pieces: frame.pieces().collect::<Result<_>>()?,
        piece: 0,
        row: 0,
        number: 0,
        scratch: Scratch::default(),
        most: PIECE_BYTES.min(limits.packet_bytes.saturating_sub(HEADER_BYTES).max(1)),
        rest: Vec::new(),
        is_refused: false,
    };
    let sql = statement(target, into, replaces);
    let mut failed = None;
    let ended = session.load(
        &sql,
        FILE,
        || match rows.next() {
            Ok(piece) => Ok(piece),
            // The server waits for the end of the file: the session stays in step.
            Err(error) => {
                failed = Some(error);
                Ok(Vec::new())
            }
        },
        stop,
    );
    if let Some(error) = failed {
        return Err(error);
    }
    if rows.is_refused {
        return ended.map(|_| false);
    }
    let ended = match ended {
        // Where rows are replaced, the server refuses one, and does not say which.
        Err(
            Error::Constraint { .. }
            | Error::Query {
                is_transient: false,
                ..
            },
        ) if session.in_transaction() => return Ok(false),
        ended => ended?,
    };
    Ok(ended.warnings == 0 && (replaces || ended.changed == frame.height() as u64))
}

/// Returns the statement. Its fields end with tabs and its lines with line feeds, which are escaped
/// by backslashes in values, as by default.
fn statement(target: &Target, into: &str, replaces: bool) -> String {
    let variable = |index: usize| format!("@industrydb_{index}");
    let needs_variable =
        |column: &Column| column.encoding.is_binary() || !column.encoding.expression("").is_empty();
    let mut fields = Vec::new();
    let mut sets = Vec::new();
    for (index, column) in target.columns.iter().enumerate() {
        let name = quoted(&column.name);
        if needs_variable(column) {
            let text = variable(index);
            // Bytes come as hexadecimal digits: as texts they would not be valid.
            let value = if column.encoding.is_binary() {
                format!("UNHEX({text})")
            } else {
                text.clone()
            };
            sets.push(format!("{name} = {}", column.encoding.expression(&value)));
            fields.push(text);
        } else {
            fields.push(name);
        }
    }
    let replace = if replaces { "REPLACE " } else { "" };
    let sets = match sets.join(", ") {
        sets if sets.is_empty() => sets,
        sets => format!(" SET {sets}"),
    };
    format!(
        "LOAD DATA LOCAL INFILE '{FILE}' {replace}INTO TABLE {into} CHARACTER SET utf8mb4 ({}){sets}",
        fields.join(", ")
    )
}

/// The rows of a frame as lines.
struct Rows<'a> {
    columns: &'a [Column],
    pieces: Vec<(usize, Vec<Cells<'a>>)>,
    /// The next row: its piece, its row in the piece, and the number of rows before it.
    piece: usize,
    row: usize,
    number: usize,
    scratch: Scratch,
    /// Largest number of bytes of a packet.
    most: usize,
    /// Bytes that did not fit into the last packet.
    rest: Vec<u8>,
    /// Whether a NULL was met in a column that has none.
    is_refused: bool,
}

impl Rows<'_> {
    /// Returns the next bytes of the file; none at its end.
    fn next(&mut self) -> Result<Vec<u8>> {
        if self.is_refused {
            return Ok(Vec::new());
        }
        let mut out = std::mem::take(&mut self.rest);
        while out.len() < self.most {
            let Some((height, cells)) = self.pieces.get(self.piece) else {
                break;
            };
            if self.row == *height {
                self.piece += 1;
                self.row = 0;
                continue;
            }
            for (index, (column, cells)) in self.columns.iter().zip(cells).enumerate() {
                if index > 0 {
                    out.push(b'\t');
                }
                let value = column.value(cells, self.row, &mut self.scratch);
                let value = value.map_err(|error| column.error(error, self.number + 1))?;
                match value {
                    // With a trigger on the table, MySQL loads a zero in its place, without a warning.
                    None if column.is_required => {
                        self.is_refused = true;
                        return Ok(Vec::new());
                    }
                    None => out.extend_from_slice(b"\\N"),
                    Some(bytes) if column.encoding.is_binary() => push_hex(bytes, &mut out),
                    Some(text) if column.encoding.is_text() => push_escaped(text, &mut out),
                    Some(text) => out.extend_from_slice(text),
                }
            }
            out.push(b'\n');
            self.row += 1;
            self.number += 1;
        }
        if out.len() > self.most {
            self.rest = out.split_off(self.most);
        }
        Ok(out)
    }
}

/// Appends a text with backslashes in front of the characters that end fields, lines and texts.
fn push_escaped(mut text: &[u8], out: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b'\\' | b'\t' | b'\n' | 0);
    while let Some(place) = text.iter().position(is_special) {
        let (plain, rest) = text.split_at(place);
        out.extend_from_slice(plain);
        out.push(b'\\');
        out.push(match rest[0] {
            b'\t' => b't',
            b'\n' => b'n',
            0 => b'0',
            other => other,
        });
        text = &rest[1..];
    }
    out.extend_from_slice(text);
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_end_something_are_escaped() {
        for (text, expected) in [
            ("plain ä", "plain ä"),
            ("a\tb\nc\\d\0e", "a\\tb\\nc\\\\d\\0e"),
            ("\\N", "\\\\N"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            push_escaped(text.as_bytes(), &mut out);
            assert_eq!(out, expected.as_bytes(), "{text:?}");
        }
        let mut out = Vec::new();
        push_hex(b"\x00\xff\x1a", &mut out);
        assert_eq!(out, b"00ff1a");
    }
}
