//! Steps through the rows and hands every value to its column.

use std::ffi::c_int;

use industrydb_core::{Chunk, ColumnType, Field, Output, Result, Stop};

use crate::columns::ColumnDecoder;
use crate::cursor::{Cursor, Declaration};
use crate::types::ColumnKind;

/// Reads all rows, again if need be: where a value did not fit its column, the rest of the rows tell
/// which types all columns need, and the next pass builds them. Types only ever widen, so the passes
/// come to an end; there is nearly always one, seldom a second.
///
/// Batches leave before the rest is known, so that a value which does not fit is an error there.
///
/// Before its first row, each pass makes sure that the columns are still those of the cursor.
pub(crate) fn read(
    cursor: &mut Cursor,
    fields: &[Field],
    kinds: &[ColumnKind],
    output: &mut Output,
    stop: &Stop,
) -> Result<()> {
    let columns = cursor.columns();
    loop {
        let found = cursor.first()?;
        Declaration::reject_changed(&columns, &cursor.columns())?;
        let complete = read_once(cursor, found, fields, kinds, output, stop)?;
        let is_final = |chunk: &Chunk| !output.is_whole() || !is_stale(chunk, kinds);
        if let Some(chunk) = complete.filter(is_final) {
            return output.push(chunk);
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

/// One pass over the rows, of which the cursor has `found` the first, up to the last batch; nothing where a column could
/// not keep all its values.
fn read_once(
    cursor: &mut Cursor,
    mut found: bool,
    fields: &[Field],
    kinds: &[ColumnKind],
    output: &mut Output,
    stop: &Stop,
) -> Result<Option<Chunk>> {
    let widens = output.may_widen();
    let new = |kind| ColumnDecoder::new(kind, widens);
    let empty = || (0..).zip(kinds.iter().map(new)).collect();
    let mut columns: Vec<(c_int, ColumnDecoder)> = empty();
    let chunk = |columns: Vec<(c_int, ColumnDecoder)>, height| Chunk {
        height,
        columns: columns
            .into_iter()
            .map(|(_, column)| column.finish())
            .collect(),
    };
    let (batch_rows, batch_bytes) = (output.batch_rows(), output.batch_bytes());
    let (mut before, mut height) = (0, 0);
    while found {
        let row = cursor.row();
        for (index, column) in &mut columns {
            if let Err(error) = column.push(row.value(*index)) {
                let field = &fields[crate::connect::length(*index)];
                return Err(error.at(&field.name, &field.database_type, Some(before + height + 1)));
            }
        }
        height += 1;
        let mut is_full = height == batch_rows;
        if height % Output::ROWS_BETWEEN_LOOKS == 0 {
            stop.check()?;
            output.meter.has_read(before + height);
            let long: usize = columns.iter().map(|(_, column)| column.long_bytes()).sum();
            is_full |= long >= batch_bytes;
        }
        if is_full {
            output.push(chunk(std::mem::replace(&mut columns, empty()), height))?;
            before += height;
            height = 0;
        }
        found = cursor.step()?;
    }
    output.meter.has_read(before + height);
    if output.is_whole() && columns.iter().any(|(_, column)| column.incomplete) {
        return Ok(None);
    }
    Ok(Some(chunk(columns, height)))
}
