//! Steps through the rows and hands every value to its column.

use std::ffi::c_int;

use industrydb_core::{Chunk, ColumnType, Field, Result, Stop};

use crate::columns::ColumnDecoder;
use crate::cursor::Cursor;
use crate::types::ColumnKind;

/// How many rows pass between two looks at the stop flag.
const ROWS_BETWEEN_CHECKS: usize = 1024;

/// Reads all rows, again if need be: where a value did not fit its column, the rest of the rows tell
/// which types all columns need, and the next pass builds them. Types only ever widen, so the passes
/// come to an end; there is nearly always one, seldom a second.
pub(crate) fn read(
    cursor: &mut Cursor,
    fields: &[Field],
    kinds: &[ColumnKind],
    stop: &Stop,
) -> Result<Chunk> {
    loop {
        let complete = read_once(cursor, fields, kinds, stop)?;
        if let Some(chunk) = complete.filter(|chunk| !is_stale(chunk, kinds)) {
            return Ok(chunk);
        }
        log::debug!("a column needs a wider type than it was declared with; reading again");
        cursor.rewind();
    }
}

/// Whether a column has widened since the chunk's reading began. A column of NULLs fits any type.
pub(crate) fn is_stale(chunk: &Chunk, kinds: &[ColumnKind]) -> bool {
    chunk.columns.iter().zip(kinds).any(|(column, kind)| {
        column.column_type != ColumnType::Null && column.column_type != kind.column_type()
    })
}

/// One pass over the rows; nothing where a column could not keep all its values.
fn read_once(
    cursor: &mut Cursor,
    fields: &[Field],
    kinds: &[ColumnKind],
    stop: &Stop,
) -> Result<Option<Chunk>> {
    let mut columns: Vec<(c_int, ColumnDecoder)> =
        (0..).zip(kinds.iter().map(ColumnDecoder::new)).collect();
    let mut height = 0;
    while cursor.step()? {
        let row = cursor.row();
        for (index, column) in &mut columns {
            if let Err(error) = column.push(row.value(*index)) {
                let field = &fields[crate::connect::length(*index)];
                return Err(error.at(&field.name, &field.database_type, Some(height + 1)));
            }
        }
        height += 1;
        if height % ROWS_BETWEEN_CHECKS == 0 {
            stop.check()?;
        }
    }
    if columns.iter().any(|(_, column)| column.incomplete) {
        return Ok(None);
    }
    let columns = columns.into_iter().map(|(_, column)| column.finish());
    Ok(Some(Chunk {
        height,
        columns: columns.collect(),
    }))
}
