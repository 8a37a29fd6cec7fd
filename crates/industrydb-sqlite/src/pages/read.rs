//! Hands the values of decoded pages to their columns.

use industrydb_core::{Field, Output, Result, Stop};
use rusqlite::Connection;

use super::table::Proven;
use super::tree::{Walk, corrupt};
use crate::cursor::{Cell, Watch};
use crate::rows;
use crate::types::ColumnKind;

/// Reads the rows of a proven query as [`rows::read`] does, which has the same columns, errors and batches.
pub(crate) fn read(
    connection: &Connection,
    proven: &Proven,
    fields: &[Field],
    kinds: &[ColumnKind],
    output: &mut Output,
    stop: &Stop,
) -> Result<()> {
    let _watch = Watch::new(connection, stop);
    let mut pager = proven.pager(connection)?;
    let (sources, wanted) = (&proven.sources, proven.wanted());
    rows::read(fields, kinds, output, stop, |filling| {
        let walk = Walk::new(&mut pager, proven.is_index, wanted, proven.cut(), stop);
        walk.all(proven.root, |row| {
            let mut is_whole = true;
            filling.push(sources.iter().map(|source| {
                let value = row.value(source.place, source.default());
                value.unwrap_or_else(|| {
                    is_whole = false;
                    Cell::Null
                })
            }))?;
            if is_whole {
                Ok(())
            } else {
                Err(corrupt(proven.root, "leads to a damaged record"))
            }
        })
    })
}
